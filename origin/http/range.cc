#include "origin/http/range.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace kvcast::origin {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_bytes_unit(std::string_view unit) {
  constexpr std::string_view kBytes = "bytes";
  return std::equal(unit.begin(), unit.end(), kBytes.begin(), kBytes.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

std::optional<uint64_t> number(std::string_view digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || error == std::errc::invalid_argument) return {};
  if (error == std::errc::result_out_of_range) return std::numeric_limits<uint64_t>::max();
  return value;
}

}  // namespace

RangeChoice choose_range(std::string_view range, uint64_t file_bytes) {
  using Kind = RangeChoice::Kind;
  const size_t equals = range.find('=');
  if (file_bytes == 0 || equals == std::string_view::npos) return {};
  if (!is_bytes_unit(trimmed(range.substr(0, equals)))) return {};
  const std::string_view spec = trimmed(range.substr(equals + 1));
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view first_digits = trimmed(spec.substr(0, dash));
  const std::string_view last_digits = trimmed(spec.substr(dash + 1));

  if (first_digits.empty()) {
    const auto suffix = number(last_digits);
    if (!suffix) return {};
    if (*suffix == 0) return {Kind::kUnsatisfiable, 0, 0};
    const uint64_t bytes = std::min(*suffix, file_bytes);
    return {Kind::kPart, file_bytes - bytes, bytes};
  }
  const auto first = number(first_digits);
  const auto last = last_digits.empty() ? std::optional(std::numeric_limits<uint64_t>::max())
                                        : number(last_digits);
  if (!first || !last || *last < *first) return {};
  if (*first >= file_bytes) return {Kind::kUnsatisfiable, 0, 0};
  return {Kind::kPart, *first, std::min(*last, file_bytes - 1) - *first + 1};
}

}  // namespace kvcast::origin
