#include "kernels/plane/lockstep_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/plane/lockstep_streams.h"
#include "kernels/plane/tables.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// What the symbol indices of a class's base table decode to.
struct BaseValues {
  alignas(64) uint16_t value[64];
  bool ready = false;
};

constexpr uint16_t kEscapedCoefficient = 0x7FFF;  // a NaN, which no coefficient is
constexpr uint16_t kEscapedValue = 0x8000;        // larger than any value in 16 bits

// An escaped value that 16 bits cannot hold while it is refined: 2 with its sign stands in for it,
// and collects its bits.
struct Outlier {
  size_t index;  // in the values
  int32_t value;
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
        tables_(codec.tables().classes.size()),
        escapes_(size_t{kMaxLockstep} * shape.coded_tokens) {
    if (direct()) return;
    values_ = std::make_unique_for_overwrite<int16_t[]>(size_t{shape.groups} * group_size());
  }

  Check decode() {
    for (uint32_t g = 0; g < shape_.groups; ++g) {
      if (planes_.base.table.empty[g]) clear(g);
    }
    if (Check check = decode_base(); !check) return in_plane(0, check.fault());
    for (size_t p = 0; p < planes_.passes.size(); ++p) {
      if (Check check = decode_pass(p); !check)
        return in_plane(planes_.passes[p].plane, check.fault());
    }
    for (const Outlier& outlier : outliers_) place_outlier(outlier);
    return {};
  }

 private:
  bool direct() const { return planes_.passes.empty(); }  // the base's symbols are coefficients
  size_t group_size() const { return size_t{kLanes} * shape_.coded_tokens; }
  int16_t* values(uint32_t g) { return values_.get() + g * group_size(); }
  uint16_t* coefficients(uint32_t g) { return coefficients_.data() + size_t{g} * kLanes; }
  uint8_t class_of(uint32_t g) const { return planes_.base.scale_class[g]; }
  const ClassTables& tables_of(uint32_t g) const { return codec_.tables().classes[class_of(g)]; }

  Reconstruction reconstruction(uint32_t g) const {
    return {shape_.codec->step, shape_.codec->rounding, planes_.dropped_bits,
            codec_.profile().classes[class_of(g)].reconstruction[planes_.passes.size()]};
  }
  uint16_t coefficient(uint32_t g, int32_t value) const {
    uint16_t bf16;
    reconstruct(reconstruction(g), {&value, 1}, {&bf16, 1});
    return bf16;
  }

  // A group that the base leaves out.
  void clear(uint32_t g) {
    if (!direct()) {
      std::fill_n(values(g), group_size(), int16_t{0});
      return;
    }
    for (uint32_t t = 0; t < shape_.coded_tokens; ++t)
      std::fill_n(coefficients(g) + size_t{t} * shape_.coefficients, shape_.lanes(g), uint16_t{0});
  }

  const uint16_t* base_values(uint32_t g) {
    BaseValues& table = tables_[class_of(g)];
    if (table.ready) return table.value;
    const ClassTables& tables = tables_of(g);
    for (uint32_t i = 0; i < 64; ++i) {
      const uint8_t symbol = tables.base_registers.symbol[i];
      const int32_t value = symbol - tables.largest();
      if (symbol == tables.escape()) {
        table.value[i] = direct() ? kEscapedCoefficient : kEscapedValue;
      } else {
        table.value[i] = direct() ? coefficient(g, value) : static_cast<uint16_t>(value);
      }
    }
    table.ready = true;
    return table.value;
  }

  Check decode_base() {
    LockstepStreams streams(shape_, planes_.base, planes_.base.table, planes_.bytes[0]);
    if (Check check = streams.open(); !check) return check;
    for (;;) {
      const LockstepBatch batch = streams.next_batch();
      if (batch.count == 0) return {};
      const uint32_t g = batch.streams[0]->group();
      if (Check check = shape_.lanes(g) < kLanes ? decode_narrow_base(*batch.streams[0])
                                                 : decode_base_batch(batch);
          !check) {
        return check;
      }
      if (Check check = streams.advance(batch); !check) return check;
      for (uint32_t i = 0; i < batch.count; ++i) {
        if (Check check = check_escapes_used(*batch.streams[i]); !check) return check;
      }
    }
  }

  // A fault of the words shows when the streams advance; escapes are then not looked at.
  Check decode_base_batch(const LockstepBatch& batch) {
    std::array<SymbolJob, kMaxLockstep> jobs;
    for (uint32_t i = 0; i < batch.count; ++i) {
      LockstepStream& stream = *batch.streams[i];
      const uint32_t g = stream.group();
      jobs[i] = {&stream.cursor,
                 direct() ? coefficients(g) : reinterpret_cast<uint16_t*>(values(g)),
                 escapes_.data() + size_t{i} * shape_.coded_tokens};
    }
    const uint32_t g = batch.streams[0]->group();
    if (!kernels_.rans.decode_symbols(tables_of(g).base_registers, base_values(g),
                                      direct() ? kEscapedCoefficient : kEscapedValue, jobs.data(),
                                      batch.count, shape_.coded_tokens,
                                      direct() ? shape_.coefficients : kLanes)) {
      return {};
    }
    for (uint32_t i = 0; i < batch.count; ++i) {
      if (Check check = take_escapes(*batch.streams[i], jobs[i].escapes); !check) return check;
    }
    return {};
  }

  Check take_escapes(LockstepStream& stream, const uint32_t* masks) {
    for (uint32_t t = 0; t < shape_.coded_tokens; ++t) {
      for (uint32_t mask = masks[t]; mask != 0; mask &= mask - 1) {
        const auto lane = static_cast<uint32_t>(std::countr_zero(mask));
        if (Check check = take_escape(stream, t, lane); !check) return check;
      }
    }
    return {};
  }

  size_t escape_offset(const LockstepStream& stream) const {
    return size_t{stream.escapes_before + stream.escapes_taken} * planes_.base.escape_bytes;
  }

  Check take_escape(LockstepStream& stream, uint32_t t, uint32_t lane) {
    const BaseView& base = planes_.base;
    const size_t offset = escape_offset(stream);
    if (stream.escapes_taken == stream.view->escapes)
      return Fault{"a stream has more escapes than its entry says", base.escapes_offset + offset};
    const std::byte* from = base.escapes.data() + offset;
    int32_t value = 0;
    if (base.escape_bytes == 2) {
      int16_t narrow;
      std::memcpy(&narrow, from, sizeof(narrow));
      value = narrow;
    } else {
      std::memcpy(&value, from, sizeof(value));
    }
    if (value < -planes_.largest_escape || value > planes_.largest_escape) {
      return Fault{"escaped value " + std::to_string(value) + " is beyond " +
                       std::to_string(planes_.largest_escape),
                   base.escapes_offset + offset};
    }
    ++stream.escapes_taken;
    place_escape(stream.group(), t, lane, value);
    return {};
  }

  void place_escape(uint32_t g, uint32_t t, uint32_t lane, int32_t value) {
    if (direct()) {
      coefficients(g)[size_t{t} * shape_.coefficients + lane] = coefficient(g, value);
      return;
    }
    // Refined by all passes its magnitude stays below 2^15.
    const int32_t largest = (INT16_MAX >> planes_.passes.size()) - 1;
    const size_t index = g * group_size() + size_t{t} * kLanes + lane;
    if (value >= -largest && value <= largest) {
      values_[index] = static_cast<int16_t>(value);
    } else {
      values_[index] = value < 0 ? -2 : 2;
      outliers_.push_back({index, value});
    }
  }

  Check check_escapes_used(const LockstepStream& stream) const {
    if (stream.next_group < stream.groups.size() || stream.escapes_taken == stream.view->escapes)
      return {};
    return Fault{std::to_string(stream.view->escapes - stream.escapes_taken) +
                     " escapes of a stream were not used",
                 planes_.base.escapes_offset + escape_offset(stream)};
  }

  Check decode_narrow_base(LockstepStream& stream) {
    const uint32_t g = stream.group(), lanes = shape_.lanes(g);
    const ClassTables& tables = tables_of(g);
    symbols_.resize(size_t{shape_.coded_tokens} * lanes);
    if (Check check = stream.decoder.decode(tables.base, lanes, symbols_); !check)
      return stream.at(check.fault());
    stream.cursor = stream.decoder.cursor();
    for (size_t i = 0; i < symbols_.size(); ++i) {
      const auto t = static_cast<uint32_t>(i / lanes), lane = static_cast<uint32_t>(i % lanes);
      const int32_t value = symbols_[i] - tables.largest();
      if (symbols_[i] == tables.escape()) {
        if (Check check = take_escape(stream, t, lane); !check) return check;
      } else if (direct()) {
        coefficients(g)[size_t{t} * shape_.coefficients + lane] = coefficient(g, value);
      } else {
        values(g)[size_t{t} * kLanes + lane] = static_cast<int16_t>(value);
      }
    }
    return {};
  }

  Check decode_pass(size_t p) {
    const StreamTable& table = planes_.passes[p].table;
    const bool last = p + 1 == planes_.passes.size();
    LockstepStreams streams(shape_, planes_.base, table, planes_.bytes[planes_.passes[p].plane]);
    if (Check check = streams.open(); !check) return check;
    for (uint32_t g = 0; g < shape_.groups; ++g) {
      if (!table.empty[g]) continue;
      for (size_t i = 0; i < group_size(); ++i)
        values(g)[i] = static_cast<int16_t>(2 * values(g)[i]);
      if (last) write_coefficients(g);
    }
    for (;;) {
      const LockstepBatch batch = streams.next_batch();
      if (batch.count == 0) return {};
      std::array<RefineJob, kMaxLockstep> jobs;
      std::array<uint32_t, kMaxLockstep> groups;
      for (uint32_t i = 0; i < batch.count; ++i) {
        groups[i] = batch.streams[i]->group();
        jobs[i] = {&batch.streams[i]->cursor, values(groups[i])};
      }
      if (shape_.lanes(groups[0]) < kLanes) {
        if (Check check = refine_narrow(*batch.streams[0], p); !check) return check;
      } else {
        // Where words run out, the streams' advance says so.
        (void)kernels_.rans.refine_values(tables_of(groups[0]).pass_registers[p], jobs.data(),
                                          batch.count, shape_.coded_tokens);
      }
      if (Check check = streams.advance(batch); !check) return check;
      for (uint32_t i = 0; last && i < batch.count; ++i) write_coefficients(groups[i]);
    }
  }

  Check refine_narrow(LockstepStream& stream, size_t p) {
    const uint32_t g = stream.group(), lanes = shape_.lanes(g);
    const auto& tables = tables_of(g).passes[p];
    const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
    symbols_.resize(size_t{shape_.coded_tokens} * lanes);
    contexts_.resize(symbols_.size());
    const auto value = [&](size_t i) -> int16_t& {
      return values(g)[i / lanes * kLanes + i % lanes];
    };
    for (size_t i = 0; i < symbols_.size(); ++i) contexts_[i] = refinement_context(value(i));
    if (Check check = stream.decoder.decode(pointers, contexts_, lanes, symbols_); !check)
      return stream.at(check.fault());
    stream.cursor = stream.decoder.cursor();
    for (size_t i = 0; i < symbols_.size(); ++i)
      value(i) = static_cast<int16_t>(refine(value(i), symbols_[i]));
    return {};
  }

  void write_coefficients(uint32_t g) {
    const Reconstruction how = reconstruction(g);
    if (shape_.lanes(g) == kLanes) {
      kernels_.quantiser.reconstruct_rows({how.step,
                                           how.rounding,
                                           static_cast<float>(1u << how.dropped_bits),
                                           {how.fraction[0], how.fraction[1]}},
                                          values(g), shape_.coded_tokens, coefficients(g),
                                          shape_.coefficients);
      return;
    }
    for (uint32_t t = 0; t < shape_.coded_tokens; ++t) {
      for (uint32_t lane = 0; lane < shape_.lanes(g); ++lane) {
        coefficients(g)[size_t{t} * shape_.coefficients + lane] =
            coefficient(g, values(g)[size_t{t} * kLanes + lane]);
      }
    }
  }

  void place_outlier(const Outlier& outlier) {
    const auto passes = static_cast<uint32_t>(planes_.passes.size());
    const uint32_t bits = magnitude(values_[outlier.index]) - (2u << passes);
    const auto refined = static_cast<int32_t>((magnitude(outlier.value) << passes) + bits);
    const auto g = static_cast<uint32_t>(outlier.index / group_size());
    const size_t t = outlier.index % group_size() / kLanes, lane = outlier.index % kLanes;
    coefficients(g)[t * shape_.coefficients + lane] =
        coefficient(g, outlier.value < 0 ? -refined : refined);
  }

  const Codec& codec_;
  const VectorKernels& kernels_;
  const SectionShape& shape_;
  const SectionPlanes& planes_;
  std::span<uint16_t> coefficients_;
  std::vector<BaseValues> tables_;     // [class]
  std::vector<uint32_t> escapes_;      // [stream of a batch][coded token]: masks of lanes
  std::unique_ptr<int16_t[]> values_;  // [channel group][coded token][32], unless direct
  std::vector<Outlier> outliers_;
  std::vector<uint8_t> symbols_, contexts_;  // of a narrow group
};

}  // namespace

Check decode_in_lockstep(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                         std::span<uint16_t> coefficients) {
  return LockstepDecoder(codec, shape, planes, coefficients).decode();
}

}  // namespace kvcast::kernels
