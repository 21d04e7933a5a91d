#include "kernels/plane/fused_groups.h"

#include <algorithm>
#include <bit>

#include "kernels/entropy/alias_registers.h"
#include "kernels/entropy/rans_format.h"

namespace kvcast::kernels {
namespace {

constexpr std::array<uint16_t, 1> kOneSymbol = {kProbabilityScale};
constexpr std::array<std::byte, kReadAhead> kNoWords{};
constexpr SymbolValues kZeros{};

// A stream of nothing but zeros, in no bits: stands in for a part that a group is not in.
void make_idle(RansCursor& cursor) {
  std::fill(std::begin(cursor.states), std::end(cursor.states), kStateLow);
  cursor.next = cursor.end = kNoWords.data();
}

const AliasRegisters& idle_table(size_t part) {
  static const AliasRegisters kBase = alias_registers(kOneSymbol);
  static const AliasRegisters kPass = pass_registers({kOneSymbol, kOneSymbol, kOneSymbol});
  return part == 0 ? kBase : kPass;
}

}  // namespace

Check FusedGroups::decode(Batch batch) {
  std::array<GroupJob, kMaxFusedGroups> jobs;
  std::array<std::array<RansCursor, 1 + kMaxFusedPasses>, kMaxFusedGroups> idle;
  EscapedValues none{};
  for (size_t i = 0; i < batch.size(); ++i) {
    const Walk& walk = *batch[i];
    const uint32_t g = walk.group();
    const uint8_t scale_class = section_.class_of(g);
    const ClassTables& tables = section_.tables_of(g);
    GroupJob& job = jobs[i];
    for (size_t part = 0; part <= section_.passes(); ++part) {
      if (PartStream* const stream = walk.stream(part)) {
        job.cursor[part] = &stream->cursor;
        job.table[part] = part == 0 ? &tables.base_registers : &tables.pass_registers[part - 1];
      } else {
        make_idle(idle[i][part]);
        job.cursor[part] = &idle[i][part];
        job.table[part] = &idle_table(part);
      }
    }
    PartStream* const base = walk.stream(0);
    job.values = base ? &section_.values.symbols(scale_class) : &kZeros;
    job.escaped = base ? &section_.values.escaped(*base, scale_class) : &none;
    job.coefficients = &section_.values.fused(scale_class);
    job.out = section_.coefficients_of(g);
    job.refined = nullptr;
    job.escapes = nullptr;
    job.lanes = section_.shape.lanes(g);
    if (!base || !section_.values.any_outlier()) continue;
    Trace& trace = traces_[i];
    trace.first_escape = job.escaped->next;
    trace.refined.resize(size_t{section_.steps()} * kLanes);
    trace.escapes.resize(section_.steps());
    job.refined = trace.refined.data();
    job.escapes = trace.escapes.data();
  }
  const bool enough = section_.rans().decode_groups(
      jobs.data(), static_cast<uint32_t>(batch.size()), static_cast<uint32_t>(section_.passes()),
      section_.steps(), section_.row());
  for (size_t i = 0; enough && i < batch.size(); ++i) {
    if (jobs[i].refined) place_outliers(batch[i]->group(), traces_[i]);
  }
  return section_.check_escapes(batch);
}

void FusedGroups::place_outliers(uint32_t g, const Trace& trace) const {
  const uint16_t* escape = trace.first_escape;
  for (uint32_t t = 0; t < section_.steps(); ++t) {
    for (uint32_t mask = trace.escapes[t]; mask != 0; mask &= mask - 1) {
      const int32_t value = section_.values.escaped_value(escape++);
      if (!section_.values.is_outlier(value)) continue;
      const auto lane = static_cast<size_t>(std::countr_zero(mask));
      section_.place_outlier(g, t, lane, value, trace.refined[size_t{t} * kLanes + lane] & 0x7Fu);
    }
  }
}

}  // namespace kvcast::kernels
