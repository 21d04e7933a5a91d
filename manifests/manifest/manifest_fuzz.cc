// Manifests: what is read can be written, and reads back the same.
#include <string_view>

#include "manifests/manifest.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::manifests;
  const auto manifest = read_manifest({reinterpret_cast<const char*>(data), size}, "input");
  if (!manifest) {
    kvcast::fuzz::expect(!manifest.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  const auto again = read_manifest(write_manifest(*manifest), "written");
  kvcast::fuzz::expect(again.ok() && *again == *manifest, "a manifest survives writing");
  return 0;
}
