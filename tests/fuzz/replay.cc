// Runs a fuzz target over saved inputs and over seeded mutations of each: what a plain build can do
// without libFuzzer. A target that crashes, hangs or aborts is the failure.
//
//     x_replay FILE_OR_FOLDER...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr int kMutations = 200;                // of each input
constexpr size_t kMaxMutatedBytes = 64 << 10;  // larger inputs are only run as they are

std::vector<fs::path> inputs_below(const fs::path& path) {
  if (fs::is_regular_file(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

Bytes read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

Bytes mutated(Bytes bytes, std::mt19937& random) {
  const auto at = [&] { return bytes.empty() ? 0 : random() % bytes.size(); };
  for (uint32_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
    switch (random() % 5) {
      case 0:
        bytes[at()] = static_cast<uint8_t>(random());
        break;
      case 1:
        bytes[at()] ^= static_cast<uint8_t>(1u << random() % 8);
        break;
      case 2:
        bytes.resize(at());
        break;
      case 3:
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at()), static_cast<uint8_t>(random()));
        break;
      default:
        bytes[at()] = random() % 2 ? 0xFF : 0;
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  size_t inputs = 0;
  std::mt19937 random(1);
  for (int i = 1; i < argc; ++i) {
    for (const fs::path& path : inputs_below(argv[i])) {
      const Bytes bytes = read(path);
      std::fprintf(stderr, "%s\n", path.c_str());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      ++inputs;
      for (int m = 0; bytes.size() <= kMaxMutatedBytes && m < kMutations; ++m) {
        const Bytes other = mutated(bytes, random);
        LLVMFuzzerTestOneInput(other.data(), other.size());
      }
    }
  }
  std::fprintf(stderr, "%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
