// Prefix entries: what is read can be written, and reads back the same.
#include <string_view>

#include "manifests/prefix_hash.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::manifests;
  const auto entry = read_prefix_entry({reinterpret_cast<const char*>(data), size}, "input");
  if (!entry) return 0;
  const auto again = read_prefix_entry(write_prefix_entry(*entry), "written");
  kvcast::fuzz::expect(again.ok() && *again == *entry, "an entry survives writing");
  return 0;
}
