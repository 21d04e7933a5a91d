#include "tools/commands/bench_threads.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <thread>

#include "kernels/implementation.h"
#include "tools/commands/bench_measure.h"
#include "tools/commands/bench_sections.h"
#include "tools/commands/bench_symbols.h"

namespace kvcast::tools {
namespace {

using kernels::Side;

constexpr uint32_t kTokens = 1024;
constexpr int kRepeats = 16;  // of a call in every thread, so that starting threads does not count
constexpr kernels::Geometry kGeometry{1, 1, 1, 8, 128};
constexpr double kBits = 2.5;

// One thread's data.
struct Share {
  explicit Share(const kernels::Profile& profile, const std::vector<uint16_t>& values)
      : chunk(kGeometry, {0, kTokens}, kernels::DType::kBf16), out(chunk) {
    std::memcpy(chunk.tensor(0, Side::kValue).data(), values.data(), 2 * values.size());
    sections = std::make_unique<BenchSections>(profile, chunk, Sides{Side::kValue});
  }
  ChunkBytes chunk, out;
  std::unique_ptr<BenchSections> sections;
  CoefficientRows coefficients;
};

struct Work {
  kernels::Profile profile = plain_profile(kGeometry, geometric_of_entropy(kBits), {0});
  kernels::Codec codec{profile};
  std::vector<std::unique_ptr<Share>> shares;
};

template <typename Task>
void run_on(Work& work, size_t threads, Task task) {
  std::vector<std::jthread> running;
  for (size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int repeat = 0; repeat < kRepeats; ++repeat) task(*work.shares[t]);
    });
  }
}

}  // namespace

std::vector<nlohmann::json> thread_rows(const BenchRounds& rounds) {
  const auto work = std::make_shared<Work>();
  const std::vector<uint16_t> values =
      draw_bf16(geometric_of_entropy(kBits), size_t{kTokens} * kGeometry.channels(Side::kValue));
  for (int share = 0; share < 2; ++share)
    work->shares.push_back(std::make_unique<Share>(work->profile, values));
  const std::string name = kernels::implementation_name(work->codec.implementation());
  const BenchSections& sections = *work->shares[0]->sections;
  const double bits = sections.bits_per_element(1);
  std::vector<BenchCase> cases;
  for (const size_t threads : {size_t{1}, size_t{2}}) {
    const auto count = static_cast<double>(threads * kRepeats);
    const auto add = [&](const std::string& operation, double bytes, std::function<void()> call) {
      cases.push_back({fmt::format("{} bits, one plane, {}, {} thread{}", kBits, operation, threads,
                                   threads == 1 ? "" : "s"),
                       name, count * sections.elements(), count * bytes, bits, std::move(call),
                       true});
    };
    add("decode to coefficients", sections.bytes(), [=] {
      run_on(*work, threads, [&](Share& share) {
        share.sections->decode_to_coefficients(work->codec, share.coefficients);
      });
    });
    add("encode", sections.elements() * bits / 8, [=] {
      run_on(*work, threads, [&](Share& share) { share.sections->encode(work->codec); });
    });
  }
  return measure(cases, rounds);
}

}  // namespace kvcast::tools
