#include "kernels/plane/group_decoder.h"

#include <cstring>
#include <string>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

Check BaseDecoder::next_group() {
  if (Check check = walker_.next_group(); !check) return check;
  if (!walker_.stream_begins()) return {};
  if (Check check = check_escapes_used(); !check) return check;
  stream_escapes_left_ = walker_.stream().escapes;
  return {};
}

Check BaseDecoder::decode_symbols(const ClassTables& tables, uint32_t lanes, size_t count) {
  symbols_.resize(count);
  if (Check check = walker_.decoder().decode(tables.base, lanes, symbols_); !check)
    return walker_.at(check.fault());
  return {};
}

// place(i, value) for each symbol that is an escape.
template <typename Place>
Check BaseDecoder::take_escapes(uint8_t escape, Place place) {
  for (size_t i = 0; i < symbols_.size(); ++i) {
    const void* found = std::memchr(symbols_.data() + i, escape, symbols_.size() - i);
    if (!found) break;
    i = static_cast<size_t>(static_cast<const uint8_t*>(found) - symbols_.data());
    int32_t value = 0;
    if (Check check = take_escape(value); !check) return check;
    place(i, value);
  }
  return {};
}

Check BaseDecoder::decode(const ClassTables& tables, uint32_t lanes, std::span<int32_t> values) {
  if (Check check = decode_symbols(tables, lanes, values.size()); !check) return check;
  for (size_t i = 0; i < values.size(); ++i) values[i] = symbols_[i] - tables.largest();
  return take_escapes(tables.escape(), [&](size_t i, int32_t value) { values[i] = value; });
}

Check BaseDecoder::decode(const ClassTables& tables, uint32_t lanes,
                          const Reconstruction& reconstruction, std::span<const uint16_t> of_symbol,
                          uint32_t steps, uint16_t* coefficients, size_t row) {
  if (Check check = decode_symbols(tables, lanes, size_t{steps} * lanes); !check) return check;
  const uint8_t* symbol = symbols_.data();
  for (uint32_t step = 0; step < steps; ++step) {
    for (uint32_t lane = 0; lane < lanes; ++lane)
      coefficients[step * row + lane] = of_symbol[*symbol++];
  }
  return take_escapes(tables.escape(), [&](size_t i, int32_t value) {
    reconstruct(reconstruction, {&value, 1}, {coefficients + i / lanes * row + i % lanes, 1});
  });
}

Check BaseDecoder::take_escape(int32_t& value) {
  const size_t offset = escapes_taken_ * base_->escape_bytes;
  if (stream_escapes_left_ == 0) {
    return Fault{"a stream has more escapes than its entry says", base_->escapes_offset + offset};
  }
  const std::byte* from = base_->escapes.data() + offset;
  if (base_->escape_bytes == 2) {
    int16_t narrow;
    std::memcpy(&narrow, from, sizeof(narrow));
    value = narrow;
  } else {
    std::memcpy(&value, from, sizeof(value));
  }
  if (value < -largest_escape_ || value > largest_escape_) {
    return Fault{
        "escaped value " + std::to_string(value) + " is beyond " + std::to_string(largest_escape_),
        base_->escapes_offset + offset};
  }
  --stream_escapes_left_;
  ++escapes_taken_;
  return {};
}

Check BaseDecoder::check_escapes_used() const {
  if (stream_escapes_left_ == 0) return {};
  return Fault{std::to_string(stream_escapes_left_) + " escapes of a stream were not used",
               base_->escapes_offset + escapes_taken_ * base_->escape_bytes};
}

Check BaseDecoder::finish() const {
  if (Check check = walker_.finish(); !check) return check;
  return check_escapes_used();
}

Check PassDecoder::refine_values(const std::array<AliasTable, 3>& tables, uint32_t lanes,
                                 std::span<int32_t> values) {
  contexts_.resize(values.size());
  symbols_.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) contexts_[i] = refinement_context(values[i]);
  const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
  if (Check check = walker_.decoder().decode(pointers, contexts_, lanes, symbols_); !check) {
    return walker_.at(check.fault());
  }
  for (size_t i = 0; i < values.size(); ++i) values[i] = refine(values[i], symbols_[i]);
  return {};
}

}  // namespace kvcast::kernels
