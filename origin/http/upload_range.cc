#include "origin/http/upload_range.h"

#include <algorithm>
#include <charconv>

#include "manifests/object.h"

namespace kvcast::origin {
namespace {

// The number at the front, which must end at `end`; both are taken off.
std::optional<uint64_t> take_number(std::string_view& text, std::string_view end) {
  const size_t digits = end.empty() ? text.size() : text.find(end);
  if (digits == std::string_view::npos || digits == 0) return {};
  const bool is_number = std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(digits),
                                     [](char c) { return c >= '0' && c <= '9'; });
  uint64_t value = 0;
  const auto error = std::from_chars(text.data(), text.data() + digits, value).ec;
  if (!is_number || error != std::errc{} || value > manifests::kMaxObjectBytes) return {};
  text.remove_prefix(digits + end.size());
  return value;
}

}  // namespace

std::optional<UploadRange> parse_upload_range(std::string_view field) {
  constexpr std::string_view kUnit = "bytes ", kQuestion = "*/";
  if (!field.starts_with(kUnit)) return {};
  field.remove_prefix(kUnit.size());
  if (field.starts_with(kQuestion)) {
    field.remove_prefix(kQuestion.size());
    const auto total = take_number(field, "");
    if (!total) return {};
    return UploadRange{0, 0, *total};
  }
  const auto first = take_number(field, "-");
  const auto last = first ? take_number(field, "/") : std::nullopt;
  const auto total = last ? take_number(field, "") : std::nullopt;
  if (!total || *last < *first || *last >= *total) return {};
  return UploadRange{*first, *last - *first + 1, *total};
}

}  // namespace kvcast::origin
