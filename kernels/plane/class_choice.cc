#include "kernels/plane/class_choice.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

static_assert(kMaxBaseByte == SymbolCounts::kNear + 1);

SymbolCounts count_symbols(std::span<const int32_t> q, uint32_t dropped_bits,
                           const QuantisingKernels& kernels,
                           std::span<const std::span<uint8_t>> parts) {
  SymbolCounts counts;
  const uint32_t magnitudes = kernels.base_values(q.data(), q.size(), dropped_bits,
                                                  reinterpret_cast<int8_t*>(parts[0].data()));
  const auto near = static_cast<int32_t>(std::min<uint32_t>(magnitudes, SymbolCounts::kNear));
  uint32_t* const first = counts.near.data() + SymbolCounts::kNear - near;
  kernels.count_bytes(parts[0].data(), q.size(), static_cast<uint8_t>(-near),
                      static_cast<uint32_t>(2 * near + 1), first);
  counts.far =
      static_cast<uint32_t>(q.size()) - std::accumulate(first, first + 2 * near + 1, uint32_t{0});
  counts.wide = magnitudes > INT16_MAX && std::any_of(q.begin(), q.end(), [&](int32_t finest) {
                  const int32_t value = drop_bits(finest, dropped_bits);
                  return value != static_cast<int16_t>(value);
                });
  for (uint32_t pass = 0; pass < dropped_bits; ++pass) {
    kernels.pass_symbols(q.data(), q.size(), dropped_bits - pass, parts[1 + pass].data());
    std::array<uint32_t, 12> of_index{};
    kernels.count_bytes(parts[1 + pass].data(), q.size(), 0, of_index.size(), of_index.data());
    auto& of_pass = counts.passes.emplace_back();
    for (size_t context = 0; context < of_pass.size(); ++context)
      std::copy_n(of_index.begin() + 4 * context, of_pass[context].size(),
                  of_pass[context].begin());
  }
  return counts;
}

namespace {

using PassCounts = std::array<std::array<uint32_t, 3>, 3>;

double cost(uint64_t count, double bits_each) {
  return count == 0 ? 0 : static_cast<double>(count) * bits_each;
}

bool base_is_zero(const SymbolCounts& counts) {
  const uint64_t near = std::accumulate(counts.near.begin(), counts.near.end(), uint64_t{0});
  return counts.far == 0 && near == counts.near[SymbolCounts::kNear];
}

bool pass_is_zero(const PassCounts& counts) {
  uint64_t others = 0;
  for (const auto& context : counts) others += context[1] + context[2];
  return others == 0;
}

// When a table with largest value m codes the base.
uint64_t count_escapes(const SymbolCounts& counts, int32_t largest) {
  uint64_t escapes = counts.far;
  for (int32_t value = largest + 1; value <= SymbolCounts::kNear; ++value) {
    escapes += counts.near[static_cast<size_t>(SymbolCounts::kNear + value)];
    escapes += counts.near[static_cast<size_t>(SymbolCounts::kNear - value)];
  }
  return escapes;
}

double base_bits(const ClassTables& tables, const SymbolCounts& counts, uint64_t escapes) {
  double bits = cost(escapes, tables.base.bits(tables.escape()) + (counts.wide ? 32 : 16));
  for (int32_t value = -tables.largest(); value <= tables.largest(); ++value) {
    const uint32_t count = counts.near[static_cast<size_t>(SymbolCounts::kNear + value)];
    bits += cost(count, tables.base.bits(static_cast<uint32_t>(value + tables.largest())));
  }
  return bits;
}

double pass_bits(const std::array<AliasTable, 3>& tables, const PassCounts& counts) {
  double bits = 0;
  for (size_t context = 0; context < tables.size(); ++context) {
    for (uint32_t symbol = 0; symbol < 3; ++symbol) {
      bits += cost(counts[context][symbol], tables[context].bits(symbol));
    }
  }
  return bits;
}

double bits_of_class(const ClassTables& tables, const SymbolCounts& counts) {
  double bits =
      base_is_zero(counts) ? 0 : base_bits(tables, counts, count_escapes(counts, tables.largest()));
  for (size_t pass = 0; pass < counts.passes.size(); ++pass)
    bits +=
        pass_is_zero(counts.passes[pass]) ? 0 : pass_bits(tables.passes[pass], counts.passes[pass]);
  return bits;
}

ClassChoice choice_of_class(const ClassTables& tables, const SymbolCounts& counts) {
  ClassChoice choice;
  if (base_is_zero(counts)) {
    choice.parts.push_back({0, true});
  } else {
    choice.escapes = count_escapes(counts, tables.largest());
    choice.parts.push_back({base_bits(tables, counts, choice.escapes), false});
  }
  for (size_t pass = 0; pass < counts.passes.size(); ++pass) {
    const PassCounts& of_pass = counts.passes[pass];
    const bool empty = pass_is_zero(of_pass);
    choice.parts.push_back({empty ? 0 : pass_bits(tables.passes[pass], of_pass), empty});
  }
  return choice;
}

}  // namespace

std::optional<ClassChoice> choose_class(std::span<const ClassTables> classes,
                                        const SymbolCounts& counts) {
  std::optional<size_t> best;
  double least = std::numeric_limits<double>::infinity();
  for (size_t c = 0; c < classes.size(); ++c) {
    const double bits = bits_of_class(classes[c], counts);
    if (bits < least) {
      least = bits;
      best = c;
    }
  }
  if (!best) return std::nullopt;
  ClassChoice choice = choice_of_class(classes[*best], counts);
  choice.scale_class = static_cast<uint8_t>(*best);
  return choice;
}

}  // namespace kvcast::kernels
