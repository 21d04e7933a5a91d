// kvcast_gpu_check: kernels against scalar on the device at hand, then how fast they are beside
// others. tools/gpu_check builds and runs it.
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <string>

#include "kernels/gpu_check/encode.h"
#include "kernels/gpu_check/matrix.h"
#include "kernels/gpu_check/ours.h"
#include "kernels/gpu_check/table.h"

namespace kvcast::kernels::gpu_check {
namespace {

constexpr int kSkipped = 77;
constexpr char kHelp[] =
    "usage: kvcast_gpu_check [--checks | --bench | --one-plane] [--small] [--json FILE]\n"
    "  (nothing)    checks every kernel against scalar, then measures\n"
    "  --checks     only the checks\n"
    "  --bench      only the measurements\n"
    "  --one-plane  decodes one plane at 2 bits a few times and nothing else: for ncu\n"
    "  --small      few cases: for compute-sanitizer\n"
    "  --json FILE  the table as JSON too\n"
    "Exit: 0 sound, 1 a kernel is wrong, 2 usage, 3 the device failed, 77 skipped: no CUDA "
    "device\n";

struct Options {
  bool checks = true, bench = true, one_plane = false, small = false;
  std::string json;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--checks") {
      options.bench = false;
    } else if (option == "--bench") {
      options.checks = false;
    } else if (option == "--one-plane") {
      options.one_plane = true;
    } else if (option == "--small") {
      options.small = true;
    } else if (option == "--json" && i + 1 < argc) {
      options.json = argv[++i];
    } else {
      return false;
    }
  }
  return options.checks || options.bench;
}

void check(DeviceRuntime& device, bool small, Findings& found) {
  found.checks.push_back(check_coefficients(device, small ? 6 : 400, 101));
  found.checks.push_back(check_kv(device, small ? 4 : 200, 102));
  found.checks.push_back(check_damage(device, small ? 50 : 10'000, 103));
  found.checks.push_back(check_encoding(small ? 6 : 200, 104));
}

double tb(const Rate& rate) {
  return rate.bytes_per_s() * 1e-12;
}

void bench_ours(Findings& found, Rate& one_plane, uint32_t quarter) {
  constexpr int kRuns = 20;
  struct Config {
    const char* name;
    uint32_t levels, width;
    double least_tb_per_s;
  };
  const Config configs[] = {{"one plane at 2 bits", 1, 0, 1.2},
                            {"one plane at 2 bits, transform per head", 1, 128, 0.6},
                            {"one plane at 2 bits, transform 1,024 wide", 1, 1024, 0.25},
                            {"all four planes", 4, 0, 0.35}};
  for (const Config& config : configs) {
    const BenchWork work = make_work(config.name, config.levels, config.width, 2.0);
    const Rate rate = decode_ours(work, 0, kRuns);
    found.rates.push_back(rate);
    found.bars.push_back({config.name, "TB/s", tb(rate), config.least_tb_per_s, false});
    if (config.width == 0) {
      const Rate encoded = encode_ours(work, 5);
      found.rates.push_back(encoded);
      found.bars.push_back({encoded.name, "GB/s", encoded.bytes_per_s() * 1e-9, 200, false});
    }
    if (config.levels > 1 || config.width > 0) continue;
    one_plane = rate;
    found.rates.push_back(decode_ours(work, quarter, kRuns));
    const FromPinned pinned = decode_from_pinned(work, kRuns);
    found.rates.push_back({"the same from pinned host memory, chunk by chunk", rate.bytes_out,
                           rate.bytes_in, pinned.seconds, "bf16 out, paged; copies included"});
    found.bars.push_back({"from pinned memory: time over copy + last chunk's decode", "x",
                          pinned.ratio(), 1.15, true});
  }
}

void bench(bool small, uint32_t quarter, Findings& found) {
  constexpr int kRuns = 20;
  const size_t bytes = small ? 64 << 20 : size_t{2} * kBenchElements;
  found.rates.push_back(copy_on_device(bytes, kRuns));
  found.copy_bytes_per_s = found.rates.back().bytes_per_s();
  found.rates.push_back(copy_from_pinned(small ? 64 << 20 : 512 << 20, kRuns));
  Rate ours;
  bench_ours(found, ours, quarter);
  const Symbols symbols = normal_symbols(2.0, kBenchChunkTokens, kBenchChannels, 1);
  const auto copies = static_cast<uint32_t>(kBenchElements / symbols.values.size());
  const Rate arithmetic = decode_with_arithmetic(symbols, copies, 3);
  found.rates.push_back(arithmetic);
  found.bars.push_back({"one plane, over the one-thread-per-channel decoder", "x",
                        ours.bytes_per_s() / arithmetic.bytes_per_s(), 15, false});
  if (const auto nvcomp = decode_with_nvcomp(symbols, copies, kRuns)) {
    found.rates.push_back(*nvcomp);
    found.bars.push_back({"one plane, over nvCOMP ANS + dequantise", "x",
                          ours.bytes_per_s() / nvcomp->bytes_per_s(), 2, false});
  } else {
    found.left_out.push_back(
        "nvCOMP: not built in (tools/gpu_check finds the wheel "
        "nvidia-libnvcomp-cu13, or -DKVCAST_NVCOMP=DIR)");
  }
}

int write(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  const bool written = file != nullptr && std::fputs(text.c_str(), file) >= 0;
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (written && closed) return 0;
  std::fprintf(stderr, "kvcast_gpu_check: %s cannot be written\n", path.c_str());
  return 3;
}

int run(const Options& options) {
  auto device = open_cuda_device(0);
  if (!device) {
    std::printf("skipped: %s\n", device.fault().what.c_str());
    return kSkipped;
  }
  if (options.one_plane) {
    const Rate rate = decode_ours(make_work("one plane at 2 bits", 1, 0, 2.0), 0, 2);
    std::printf("%s: %llu symbols a launch\n", rate.name.c_str(),
                static_cast<unsigned long long>(kBenchElements));
    return 0;
  }
  Findings found;
  found.device = (*device)->info().name;
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%d", std::gmtime(&now));
  found.date = date;
  if (options.checks) check(**device, options.small, found);
  if (options.bench) bench(options.small, (*device)->info().multiprocessors / 4, found);
  std::fputs(text_of(found).c_str(), stdout);
  if (!options.json.empty()) {
    if (const int failed = write(options.json, json_of(found)); failed != 0) return failed;
  }
  return found.sound() || !options.checks ? 0 : 1;
}

}  // namespace
}  // namespace kvcast::kernels::gpu_check

int main(int argc, char** argv) {
  using namespace kvcast::kernels::gpu_check;
  Options options;
  if (!parse(argc, argv, options)) {
    const bool asked = argc == 2 && std::strcmp(argv[1], "--help") == 0;
    std::fputs(kHelp, asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  try {
    return run(options);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "kvcast_gpu_check: %s\n", failure.what());
    return 3;
  }
}
