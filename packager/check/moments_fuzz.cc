// Files of moments, values too: what is good is what calibration would read, and is finite.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <string>

#include "packager/check/moments_check.h"
#include "tests/fuzz/expect.h"

namespace {

// A file without a folder, that can be opened by its path.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : descriptor_(::memfd_create("moments", 0)) {
    const bool whole = ::write(descriptor_, data, size) == static_cast<ssize_t>(size);
    kvcast::fuzz::expect(whole, "the input can be written");
  }
  ~MemoryFile() { ::close(descriptor_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast;
  const MemoryFile input(data, size);
  const auto file = manifests::SafetensorsFile::open(input.path());
  if (!file) return 0;
  const auto good = packager::check_moments(*file);
  if (!good) {
    fuzz::expect(good.error().message.find('\n') == std::string::npos, "an error is one line");
    return 0;
  }
  for (const auto& [name, tensor] : file->header().tensors) {
    std::vector<float> values(tensor.bytes / sizeof(float));
    const auto read = file->read(tensor, 0, std::as_writable_bytes(std::span(values)));
    fuzz::expect(read.ok(), "a good file can be read");
    for (const float value : values) fuzz::expect(std::isfinite(value), "moments are finite");
  }
  return 0;
}
