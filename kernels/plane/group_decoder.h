// Values of the channel groups of a section, from the streams of its base and passes: for each
// group in coding order, next_group(), then its coded tokens in runs of any length, then after the
// last group finish().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/plane/reader.h"
#include "kernels/plane/tables.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

class BaseDecoder {
 public:
  // `base` must outlive the decoder. Escaped values above `largest_escape` are faults.
  BaseDecoder(const BaseView& base, int32_t largest_escape)
      : base_(&base), walker_(base.table.streams), largest_escape_(largest_escape) {}

  Check next_group();  // a group that is not empty
  // values: [steps][lanes].
  Check decode(const ClassTables& tables, uint32_t lanes, std::span<int32_t> values);
  // The coefficients of the values instead, [steps] rows of lanes, `row` elements apart.
  // of_symbol: of every symbol but the escape.
  Check decode(const ClassTables& tables, uint32_t lanes, const Reconstruction& reconstruction,
               std::span<const uint16_t> of_symbol, uint32_t steps, uint16_t* coefficients,
               size_t row);
  Check finish() const;

 private:
  Check decode_symbols(const ClassTables& tables, uint32_t lanes, size_t count);
  template <typename Place>
  Check take_escapes(uint8_t escape, Place place);
  Check take_escape(int32_t& value);
  Check check_escapes_used() const;

  const BaseView* base_;
  StreamWalker walker_;
  int32_t largest_escape_;
  uint32_t stream_escapes_left_ = 0;
  size_t escapes_taken_ = 0;
  std::vector<uint8_t> symbols_;
};

class PassDecoder {
 public:
  explicit PassDecoder(const StreamTable& table) : table_(&table), walker_(table.streams) {}

  bool empty(uint32_t group) const { return table_->empty[group] != 0; }
  Check next_group() { return walker_.next_group(); }  // a group that is not empty
  Check refine_values(const std::array<AliasTable, 3>& tables, uint32_t lanes,
                      std::span<int32_t> values);
  Check finish() const { return walker_.finish(); }

 private:
  const StreamTable* table_;
  StreamWalker walker_;
  std::vector<uint8_t> contexts_, symbols_;
};

}  // namespace kvcast::kernels
