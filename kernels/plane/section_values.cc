#include "kernels/plane/section_values.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "kernels/plane/tables.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kReadAheadValues = 64;

ValueForm form_for(size_t passes) {
  if (passes == 0) return ValueForm::kCoefficients;
  return passes <= kMaxFusedPasses ? ValueForm::kFused : ValueForm::kIntegers;
}

uint16_t escape_in(ValueForm form) {
  // As a coefficient a NaN, which none is; as an integer larger than any that is refined.
  return form == ValueForm::kFused ? kFusedEscape : kEscapedValue;
}

int32_t largest_in(ValueForm form, size_t passes) {
  if (form == ValueForm::kCoefficients) return kMaxMagnitude;
  // Refined by all passes, the magnitude of an integer stays below 2^15.
  return form == ValueForm::kFused ? kMaxFusedValue : (INT16_MAX >> passes) - 1;
}

int32_t read_escaped(const BaseView& base, size_t index) {
  const std::byte* const from = base.escapes.data() + index * base.escape_bytes;
  if (base.escape_bytes == 4) {
    int32_t value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
  int16_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

SectionValues::SectionValues(const Codec& codec, const SectionShape& shape,
                             const SectionPlanes& planes)
    : codec_(codec),
      shape_(shape),
      planes_(planes),
      form_(form_for(planes.passes.size())),
      escape_(escape_in(form_)),
      largest_(largest_in(form_, planes.passes.size())),
      classes_(codec.tables().classes.size()),
      streams_(planes.base.table.streams.size()) {}

Check SectionValues::open() {
  const BaseView& base = planes_.base;
  escaped_.resize(base.escapes.size() / base.escape_bytes);
  for (size_t i = 0; i < escaped_.size(); ++i) {
    const int32_t value = escaped_[i] = read_escaped(base, i);
    if (value < -planes_.largest_escape || value > planes_.largest_escape) {
      return in_plane(0, {"escaped value " + std::to_string(value) + " is beyond " +
                              std::to_string(planes_.largest_escape),
                          base.escapes_offset + i * base.escape_bytes});
    }
    any_outlier_ |= is_outlier(value);
  }
  forms_.resize(escaped_.size() + kReadAheadValues);
  return {};
}

Reconstruction SectionValues::reconstruction(uint8_t scale_class) const {
  return {shape_.codec->step, shape_.codec->rounding, planes_.dropped_bits,
          codec_.profile().classes[scale_class].reconstruction[planes_.passes.size()]};
}

uint16_t SectionValues::coefficient(uint8_t scale_class, int32_t value) const {
  uint16_t bf16;
  reconstruct(reconstruction(scale_class), {&value, 1}, {&bf16, 1});
  return bf16;
}

uint16_t SectionValues::form_of(uint8_t scale_class, int32_t value) const {
  if (form_ == ValueForm::kCoefficients) return coefficient(scale_class, value);
  if (form_ == ValueForm::kIntegers) return static_cast<uint16_t>(value);
  return static_cast<uint16_t>(magnitude(value) | (value < 0 ? kFusedSign : 0u));
}

SectionValues::OfClass& SectionValues::of(uint8_t scale_class) {
  std::unique_ptr<OfClass>& of_class = classes_[scale_class];
  if (of_class) return *of_class;
  of_class = std::make_unique<OfClass>();
  const ClassTables& tables = codec_.tables().classes[scale_class];
  uint16_t of_symbol[kMaxAlphabet] = {};
  for (uint32_t symbol = 0; symbol < tables.base.alphabet(); ++symbol) {
    of_symbol[symbol] = symbol == tables.escape()
                            ? escape_
                            : form_of(scale_class, static_cast<int32_t>(symbol) - tables.largest());
  }
  for (size_t i = 0; i < std::size(of_class->symbols.value); ++i)
    of_class->symbols.value[i] = of_symbol[tables.base_registers.symbol[i]];
  if (form_ == ValueForm::kFused) {
    FusedCoefficients& fused = of_class->fused;
    int32_t magnitudes[kFusedMagnitudes];
    std::iota(std::begin(magnitudes), std::end(magnitudes), 0);
    reconstruct(reconstruction(scale_class), magnitudes, fused.bf16);
    for (uint32_t m = 0; m < kFusedMagnitudes; ++m) {
      fused.low[m] = static_cast<uint8_t>(fused.bf16[m]);
      fused.high[m] = static_cast<uint8_t>(fused.bf16[m] >> 8);
    }
  }
  return *of_class;
}

EscapedValues& SectionValues::escaped(const PartStream& stream, uint8_t scale_class) {
  OfStream& of_stream = streams_[index(stream)];
  EscapedValues& left = of_stream.left;
  if (of_stream.scale_class < 0) {
    left.next = forms_.data() + stream.escapes_before;
    left.end = left.next + stream.view->escapes;
  }
  if (of_stream.scale_class == scale_class) return left;
  of_stream.scale_class = scale_class;
  for (const uint16_t* at = left.next; at < left.end; ++at) {
    const int32_t value = escaped_value(at);
    uint16_t& form = forms_[static_cast<size_t>(at - forms_.data())];
    if (form_ == ValueForm::kIntegers) {
      form = kEscapedValue;  // to be found again among the values
    } else {
      form = form_of(scale_class, is_outlier(value) ? value < 0 ? -kStandIn : kStandIn : value);
    }
  }
  return left;
}

Check SectionValues::check_escapes(const PartStream& stream) const {
  const EscapedValues& left = streams_[index(stream)].left;
  const bool ended = stream.groups_left == 1;
  if (left.next <= left.end && (!ended || left.next == left.end)) return {};
  const auto at = static_cast<size_t>(std::min(left.next, left.end) - forms_.data());
  return in_plane(0, {left.next > left.end ? "a stream has more escapes than its entry says"
                                           : std::to_string(left.end - left.next) +
                                                 " escapes of a stream were not used",
                      planes_.base.escapes_offset + at * planes_.base.escape_bytes});
}

}  // namespace kvcast::kernels
