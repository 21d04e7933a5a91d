#include "tools/commands/bench_synthetic.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>

#include "kernels/plane.h"
#include "tools/commands/bench_public_codecs.h"

namespace kvcast::tools {
namespace {

using kernels::Side;

constexpr uint32_t kTokens = 1024, kHeads = 8, kDim = 128, kChannels = kHeads * kDim;
constexpr size_t kSymbols = size_t{kTokens} * kChannels;
constexpr uint32_t kSpread = 400;  // values considered, on either side

// Of this thread: the work neither waits nor starts threads, and others may use the machine.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median_seconds(int runs, const std::function<void()>& work) {
  std::vector<double> seconds;
  work();
  for (int run = 0; run < runs; ++run) {
    const double start = cpu_seconds();
    work();
    seconds.push_back(cpu_seconds() - start);
  }
  std::nth_element(seconds.begin(), seconds.begin() + runs / 2, seconds.end());
  return seconds[static_cast<size_t>(runs / 2)];
}

// Two-sided geometric: the probability of v is proportional to ratio^|v|.
std::vector<double> geometric(double ratio) {
  std::vector<double> probability(kSpread + 1);
  const double zero = (1 - ratio) / (1 + ratio);
  for (uint32_t a = 0; a <= kSpread; ++a) probability[a] = zero * std::pow(ratio, a);
  return probability;  // [magnitude], of one sign
}

double entropy(double ratio) {
  double bits = 0;
  const std::vector<double> probability = geometric(ratio);
  for (uint32_t a = 0; a <= kSpread; ++a) {
    if (probability[a] > 1e-300)
      bits -= (a == 0 ? 1 : 2) * probability[a] * std::log2(probability[a]);
  }
  return bits;
}

double ratio_of_entropy(double bits) {
  double low = 1e-6, high = 0.99;
  for (int i = 0; i < 60; ++i) (entropy((low + high) / 2) < bits ? low : high) = (low + high) / 2;
  return low;
}

// Probabilities as 4096ths, each at least one.
kernels::ProbabilityTable table_of(const std::vector<double>& probability) {
  kernels::ProbabilityTable table;
  int left = 4096;
  for (const double p : probability) {
    table.frequency.push_back(static_cast<uint16_t>(std::max(1.0, std::floor(p * 4096))));
    left -= table.frequency.back();
  }
  auto& most = *std::max_element(table.frequency.begin(), table.frequency.end());
  most = static_cast<uint16_t>(most + left);
  return table;
}

// The tables of symbols whose magnitudes have `probability` after `dropped` bits are dropped.
kernels::ScaleClass class_of(const std::vector<double>& finest, uint32_t dropped) {
  const auto cell = [&](uint32_t magnitude, uint32_t bits) {
    double sum = 0;
    for (uint32_t a = magnitude << bits; a < (magnitude + 1) << bits && a < finest.size(); ++a)
      sum += finest[a];
    return sum;
  };
  kernels::ScaleClass made;
  double escapes = 1;
  std::vector<double> near = {cell(0, dropped) * 2 - finest[0]};
  escapes -= near[0];
  for (uint32_t m = 1; m <= 15 && escapes > 1e-3; ++m) {
    near.push_back(cell(m, dropped));
    escapes -= 2 * near.back();
  }
  std::vector<double> base(near.rbegin(), near.rend());
  base.insert(base.end(), near.begin() + 1, near.end());
  base.push_back(std::max(escapes, 0.0));
  made.base = table_of(base);
  for (uint32_t pass = 0; pass < dropped; ++pass) {
    const uint32_t bits = dropped - pass - 1;
    const double zero = 2 * cell(0, bits + 1) - finest[0], more = cell(1, bits) / zero;
    const double next_of_one = cell(3, bits) / std::max(1e-9, cell(1, bits + 1));
    made.passes.push_back({table_of({1 - 2 * more, more, more}),
                           table_of({1 - next_of_one, next_of_one}),
                           table_of({1 - next_of_one, next_of_one})});
  }
  made.reconstruction.assign(dropped + 1, {0.4f, 0.45f});
  return made;
}

kernels::Profile profile_of(const std::vector<double>& finest, std::vector<uint8_t> drop_bits) {
  kernels::Profile profile;
  profile.geometry = {1, kHeads, kDim, kHeads, kDim};
  profile.levels = static_cast<uint32_t>(drop_bits.size());
  profile.sink_tokens = 0;
  profile.layer_rope = {kernels::kNoRope};
  profile.groups = {{0, 1}};
  kernels::SectionCodec section;
  section.drop_bits = std::move(drop_bits);
  section.mean.assign(kChannels, 0.0f);
  section.scale.assign(kChannels, 1.0f);
  for (uint32_t c = 0; c < kChannels; ++c) section.order.push_back(c);
  profile.sections = {section, section};
  profile.classes = {class_of(finest, section.drop_bits[0])};
  if (const auto valid = kernels::validate(profile); !valid)
    throw std::logic_error(valid.fault().what);
  return profile;
}

// Values as bf16, which holds integers up to 256 exactly.
std::vector<uint16_t> draw(const std::vector<double>& finest) {
  std::mt19937 random(1);
  std::vector<double> weight = finest;
  for (size_t a = 1; a < weight.size(); ++a) weight[a] *= 2;
  std::discrete_distribution<int> magnitude(weight.begin(), weight.end());
  std::vector<uint16_t> values(kSymbols);
  for (uint16_t& value : values) {
    const int a = std::min(magnitude(random), 255);
    value = kernels::f32_to_bf16(static_cast<float>(random() % 2 == 0 ? a : -a));
  }
  return values;
}

struct Rows {
  std::vector<nlohmann::json>& rows;
  int runs;

  void add(const std::string& operation, const std::string& implementation, double bytes_out,
           double bits, const std::function<void()>& work) {
    const double seconds = median_seconds(runs, work);
    rows.push_back({{"operation", operation},
                    {"implementation", implementation},
                    {"symbols_per_s", static_cast<double>(kSymbols) / seconds},
                    {"bytes_out_per_s", bytes_out / seconds},
                    {"bits_per_symbol", bits}});
  }
};

// Signed bytes times a step, as bf16: what has to follow a codec of bytes. Compilers vectorise it.
void dequantise(std::span<const uint8_t> symbols, float step, std::span<uint16_t> bf16) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    const float value = step * static_cast<float>(static_cast<int8_t>(symbols[i]));
    const auto bits = __builtin_bit_cast(uint32_t, value);
    bf16[i] = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
}

void require(const kernels::Check& check) {
  if (!check) throw std::logic_error(check.fault().what);
}

// All planes of one section: to coefficients, to KV, and from KV.
void add_ours(const std::string& what, const kernels::Profile& profile,
              std::vector<uint16_t>& values, Rows& rows) {
  const kernels::TokenRange tokens{0, kTokens};
  const size_t stride = kChannels * sizeof(uint16_t);
  const kernels::TensorView from{reinterpret_cast<const std::byte*>(values.data()), stride};
  std::vector<uint16_t> out(kSymbols);
  const kernels::MutableTensorView to{reinterpret_cast<std::byte*>(out.data()), stride};
  for (const kernels::Implementation implementation : kernels::implementations()) {
    if (!kernels::runs_here(implementation)) continue;
    const std::string name = kernels::implementation_name(implementation);
    const kernels::Codec codec(profile, implementation);
    auto encode = [&] {
      return kernels::encode_section(codec, 0, Side::kValue, tokens, kernels::DType::kBf16,
                                     {&from, 1});
    };
    auto encoded = encode();
    if (!encoded) throw std::logic_error(encoded.fault().what);
    size_t bytes = 0;
    for (const auto& plane : encoded->planes) bytes += plane.size();
    const double bits = 8.0 * static_cast<double>(bytes) / static_cast<double>(kSymbols);
    const double bytes_out = static_cast<double>(kSymbols * sizeof(uint16_t));
    const std::vector<std::span<const std::byte>> planes(encoded->planes.begin(),
                                                         encoded->planes.end());
    rows.add(what + ", decode to coefficients", name, bytes_out, bits, [&] {
      require(kernels::decode_coefficients(codec, 0, Side::kValue, tokens, planes, out));
    });
    rows.add(what + ", decode to KV", name, bytes_out, bits, [&] {
      require(kernels::decode_section(codec, 0, Side::kValue, tokens, kernels::DType::kBf16, planes,
                                      {}, {&to, 1}));
    });
    rows.add(what + ", encode", name, static_cast<double>(bytes), bits, [&] {
      if (!encode().ok()) throw std::logic_error("a section that was encoded no longer is");
    });
  }
}

}  // namespace

std::vector<nlohmann::json> synthetic_rows(const SyntheticBench& bench) {
  std::vector<nlohmann::json> made;
  Rows rows{made, bench.runs};
  for (const double bits : bench.bits) {
    const std::string what = fmt::format("{} bits", bits);
    const std::vector<double> finest = geometric(ratio_of_entropy(bits));
    std::vector<uint16_t> values = draw(finest);
    add_ours(what + ", one plane", profile_of(finest, {0}), values, rows);
    const std::vector<double> below = geometric(std::pow(ratio_of_entropy(bits), 1.0 / 8));
    std::vector<uint16_t> fine_values = draw(below);
    add_ours(what + " and three planes below", profile_of(below, {3, 2, 1, 0}), fine_values, rows);

    std::vector<uint8_t> symbols(kSymbols);
    for (size_t i = 0; i < kSymbols; ++i)
      symbols[i] = static_cast<uint8_t>(static_cast<int>(kernels::bf16_to_f32(values[i])));
    for (const PublicCodec& codec : public_codecs()) {
      const std::vector<uint8_t> compressed = codec.compress(symbols);
      const double size_bits =
          8.0 * static_cast<double>(compressed.size()) / static_cast<double>(kSymbols);
      std::vector<uint8_t> out(kSymbols);
      std::vector<uint16_t> bf16(kSymbols);
      rows.add(what + ", decode to bytes", codec.name, static_cast<double>(kSymbols), size_bits,
               [&] { codec.decompress(compressed, out); });
      if (out != symbols) throw std::logic_error(codec.name + " did not restore the symbols");
      rows.add(what + ", decode, then bf16", codec.name, 2.0 * static_cast<double>(kSymbols),
               size_bits, [&] {
                 codec.decompress(compressed, out);
                 dequantise(out, 1.0f, bf16);
               });
    }
  }
  std::vector<uint16_t> from(kSymbols, 1), to(kSymbols);
  rows.add("copy of bf16", "memcpy", static_cast<double>(kSymbols * sizeof(uint16_t)), 16,
           [&] { std::memcpy(to.data(), from.data(), kSymbols * sizeof(uint16_t)); });
  return made;
}

}  // namespace kvcast::tools
