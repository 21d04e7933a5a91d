#include "kernels/plane/lockstep_decoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "kernels/entropy/alias_registers.h"
#include "kernels/plane/narrow_group.h"
#include "kernels/plane/section_values.h"
#include "kernels/plane/section_walks.h"
#include "kernels/plane/tables.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

using Batch = std::span<Walk* const>;

// A stream of nothing but zeros, in no bits: what stands in for a part that a group is not in.
class IdleStream {
 public:
  IdleStream() {
    std::fill(std::begin(cursor_.states), std::end(cursor_.states), kStateLow);
    cursor_.next = cursor_.end = kNoWords.data();
  }
  RansCursor* cursor() { return &cursor_; }
  static const AliasRegisters& base_table() {
    static const AliasRegisters kTable = alias_registers(kOneSymbol);
    return kTable;
  }
  static const AliasRegisters& pass_table() {
    static const AliasRegisters kTable = pass_registers({kOneSymbol, kOneSymbol, kOneSymbol});
    return kTable;
  }
  static const SymbolValues& values() {
    static constexpr SymbolValues kZeros{{}, kFusedEscape};
    return kZeros;
  }

 private:
  static constexpr std::array<uint16_t, 1> kOneSymbol = {kProbabilityScale};
  static constexpr std::array<std::byte, kReadAhead> kNoWords{};
  RansCursor cursor_;
};

class LockstepDecoder {
 public:
  LockstepDecoder(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                  std::span<uint16_t> coefficients)
      : codec_(codec),
        kernels_(*codec.tables().vectors),
        shape_(shape),
        planes_(planes),
        coefficients_(coefficients),
        section_(codec, shape, planes),
        walks_(shape, planes) {}

  Check decode() {
    if (Check check = section_.open(); !check) return check;
    if (Check check = walks_.open(); !check) return check;
    for (const uint32_t g : walks_.empty_groups()) clear(g);
    for (;;) {
      std::array<Walk*, kMaxDecodeStreams> walks;
      const Batch batch = std::span(walks).first(choose(walks));
      if (batch.empty()) return {};
      if (Check check = decode_batch(batch); !check) return check;
      for (Walk* const walk : batch) {
        if (Check check = walk->advance(); !check) return check;
      }
    }
  }

 private:
  uint8_t class_of(uint32_t g) const { return planes_.base.scale_class[g]; }
  const ClassTables& tables_of(uint32_t g) const { return codec_.tables().classes[class_of(g)]; }
  size_t passes() const { return planes_.passes.size(); }
  uint32_t steps() const { return shape_.coded_tokens; }
  uint16_t* coefficients(uint32_t g) { return coefficients_.data() + size_t{g} * kLanes; }

  void clear(uint32_t g) {
    for (uint32_t t = 0; t < steps(); ++t)
      std::fill_n(coefficients(g) + size_t{t} * shape_.coefficients, shape_.lanes(g), uint16_t{0});
  }

  // The walks with the most groups left, so that none is left alone early; a narrow group is alone.
  size_t choose(std::span<Walk*, kMaxDecodeStreams> chosen) {
    const size_t most = section_.form() == ValueForm::kFused ? kMaxFusedGroups : kMaxDecodeStreams;
    size_t count = 0;
    for (Walk& walk : walks_.walks()) {
      if (walk.groups_left() == 0) continue;
      if (shape_.lanes(walk.group()) < kLanes) {
        chosen[0] = &walk;
        return 1;
      }
      size_t at = count < most ? count++ : most;
      for (; at > 0 && walk.groups_left() > chosen[at - 1]->groups_left(); --at) {
        if (at < most) chosen[at] = chosen[at - 1];
      }
      if (at < most) chosen[at] = &walk;
    }
    return count;
  }

  // Where words run out, the walks' advance says so.
  Check decode_batch(Batch batch) {
    const uint32_t g = batch[0]->group();
    if (shape_.lanes(g) < kLanes) {
      return decode_narrow_group(codec_, shape_, class_of(g), *batch[0], section_, coefficients_);
    }
    switch (section_.form()) {
      case ValueForm::kCoefficients:
        return decode_lone_bases(batch);
      case ValueForm::kFused:
        return decode_fused(batch);
      case ValueForm::kIntegers:
        return decode_integers(batch);
    }
    return {};
  }

  Check check_escapes(Batch batch) {
    for (const Walk* const walk : batch) {
      const PartStream* const base = walk->stream(0);
      if (!base) continue;
      if (Check check = section_.check_escapes(*base); !check) return check;
    }
    return {};
  }

  SymbolJob symbol_job(const Walk& walk, uint16_t* out) {
    const uint32_t g = walk.group();
    PartStream& base = *walk.stream(0);
    return {&base.cursor, &tables_of(g).base_registers, &section_.symbols(class_of(g)),
            &section_.escaped(base, class_of(g)), out};
  }

  Check decode_lone_bases(Batch batch) {
    std::array<SymbolJob, kMaxDecodeStreams> jobs;
    for (size_t i = 0; i < batch.size(); ++i)
      jobs[i] = symbol_job(*batch[i], coefficients(batch[i]->group()));
    (void)kernels_.rans.decode_symbols(jobs.data(), static_cast<uint32_t>(batch.size()), steps(),
                                       shape_.coefficients);
    return check_escapes(batch);
  }

  // Where outliers are found again.
  struct FusedTrace {
    const uint16_t* first_escape = nullptr;
    std::vector<uint8_t> refined;
    std::vector<uint32_t> escapes;
  };

  Check decode_fused(Batch batch) {
    std::array<GroupJob, kMaxFusedGroups> jobs;
    std::array<IdleStream, kMaxFusedGroups*(1 + kMaxFusedPasses)> idle;
    EscapedValues none{};
    for (size_t i = 0; i < batch.size(); ++i) {
      const Walk& walk = *batch[i];
      const uint32_t g = walk.group();
      const ClassTables& tables = tables_of(g);
      GroupJob& job = jobs[i];
      for (size_t part = 0; part <= passes(); ++part) {
        PartStream* const stream = walk.stream(part);
        const AliasRegisters& used =
            part == 0 ? tables.base_registers : tables.pass_registers[part - 1];
        const AliasRegisters& unused =
            part == 0 ? IdleStream::base_table() : IdleStream::pass_table();
        job.cursor[part] =
            stream ? &stream->cursor : idle[i * (1 + kMaxFusedPasses) + part].cursor();
        job.table[part] = stream ? &used : &unused;
      }
      PartStream* const base = walk.stream(0);
      job.values = base ? &section_.symbols(class_of(g)) : &IdleStream::values();
      job.escaped = base ? &section_.escaped(*base, class_of(g)) : &none;
      job.coefficients = &section_.fused(class_of(g));
      job.out = coefficients(g);
      job.refined = nullptr;
      job.escapes = nullptr;
      if (base && section_.any_outlier()) trace(job, traces_[i]);
    }
    if (!kernels_.rans.decode_groups(jobs.data(), static_cast<uint32_t>(batch.size()),
                                     static_cast<uint32_t>(passes()), steps(),
                                     shape_.coefficients)) {
      return check_escapes(batch);
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      if (jobs[i].refined) place_outliers(batch[i]->group(), traces_[i]);
    }
    return check_escapes(batch);
  }

  void trace(GroupJob& job, FusedTrace& trace) {
    trace.first_escape = job.escaped->next;
    trace.refined.resize(size_t{steps()} * kLanes);
    trace.escapes.resize(steps());
    job.refined = trace.refined.data();
    job.escapes = trace.escapes.data();
  }

  void place_outliers(uint32_t g, const FusedTrace& trace) {
    const uint16_t* escape = trace.first_escape;
    for (uint32_t t = 0; t < steps(); ++t) {
      for (uint32_t mask = trace.escapes[t]; mask != 0; mask &= mask - 1) {
        const int32_t value = section_.escaped_value(escape++);
        const auto lane = static_cast<uint32_t>(std::countr_zero(mask));
        if (section_.is_outlier(value))
          place_outlier(g, t, lane, value, trace.refined[size_t{t} * kLanes + lane] & 0x7Fu);
      }
    }
  }

  // `collected`: the stand-in's magnitude after all passes.
  void place_outlier(uint32_t g, uint32_t t, uint32_t lane, int32_t value, uint32_t collected) {
    const uint32_t bits = collected - (2u << passes());
    const auto refined = static_cast<int32_t>((magnitude(value) << passes()) + bits);
    coefficients(g)[size_t{t} * shape_.coefficients + lane] =
        section_.coefficient(class_of(g), value < 0 ? -refined : refined);
  }

  struct Outlier {
    size_t index;  // in the group's values
    int32_t value;
  };
  // The values of a group, in memory.
  struct Integers {
    std::vector<int16_t> values;  // [coded token][32]
    std::vector<Outlier> outliers;
  };

  Check decode_integers(Batch batch) {
    std::array<SymbolJob, kMaxDecodeStreams> jobs;
    std::array<const uint16_t*, kMaxDecodeStreams> first_escape{};
    uint32_t count = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      integers_[i].values.assign(size_t{steps()} * kLanes, 0);
      integers_[i].outliers.clear();
      if (!batch[i]->stream(0)) continue;
      jobs[count] = symbol_job(*batch[i], reinterpret_cast<uint16_t*>(integers_[i].values.data()));
      first_escape[i] = jobs[count++].escaped->next;
    }
    if (count > 0 && !kernels_.rans.decode_symbols(jobs.data(), count, steps(), kLanes))
      return check_escapes(batch);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (first_escape[i]) place_escapes(first_escape[i], integers_[i]);
    }
    for (size_t p = 0; p < passes(); ++p) refine_integers(batch, p);
    for (size_t i = 0; i < batch.size(); ++i) write_integers(batch[i]->group(), integers_[i]);
    return check_escapes(batch);
  }

  void place_escapes(const uint16_t* escape, Integers& group) {
    for (size_t i = 0; i < group.values.size(); ++i) {
      if (group.values[i] != INT16_MIN) continue;
      const int32_t value = section_.escaped_value(escape++);
      const bool outlier = section_.is_outlier(value);
      if (outlier) group.outliers.push_back({i, value});
      group.values[i] = static_cast<int16_t>(outlier ? value < 0 ? -2 : 2 : value);
    }
  }

  void refine_integers(Batch batch, size_t p) {
    std::array<RefineJob, kMaxDecodeStreams> jobs;
    uint32_t count = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (PartStream* const stream = batch[i]->stream(1 + p)) {
        jobs[count++] = {&stream->cursor, &tables_of(batch[i]->group()).pass_registers[p],
                         integers_[i].values.data()};
      } else {
        for (int16_t& value : integers_[i].values) value = static_cast<int16_t>(2 * value);
      }
    }
    if (count > 0) (void)kernels_.rans.refine_values(jobs.data(), count, steps());
  }

  void write_integers(uint32_t g, const Integers& group) {
    const Reconstruction how = section_.reconstruction(class_of(g));
    kernels_.quantiser.reconstruct_rows({how.step,
                                         how.rounding,
                                         static_cast<float>(1u << how.dropped_bits),
                                         {how.fraction[0], how.fraction[1]}},
                                        group.values.data(), steps(), coefficients(g),
                                        shape_.coefficients);
    for (const auto& [index, value] : group.outliers) {
      place_outlier(g, static_cast<uint32_t>(index / kLanes), static_cast<uint32_t>(index % kLanes),
                    value, magnitude(group.values[index]));
    }
  }

  const Codec& codec_;
  const VectorKernels& kernels_;
  const SectionShape& shape_;
  const SectionPlanes& planes_;
  std::span<uint16_t> coefficients_;
  SectionValues section_;
  SectionWalks walks_;
  std::array<FusedTrace, kMaxFusedGroups> traces_;
  std::array<Integers, kMaxDecodeStreams> integers_;
};

}  // namespace

Check decode_in_lockstep(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                         std::span<uint16_t> coefficients) {
  return LockstepDecoder(codec, shape, planes, coefficients).decode();
}

}  // namespace kvcast::kernels
