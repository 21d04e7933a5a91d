#include "manifests/manifest/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "manifests/json/document.h"
#include "manifests/kv/rope.h"
#include "manifests/manifest.h"

namespace kvcast::manifests {
namespace {

constexpr std::string_view kCodecFamily = "kvc.1.";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool matches(std::string_view text, std::string_view pattern) {
  return std::equal(text.begin(), text.end(), pattern.begin(), pattern.end(),
                    [](char c, char p) { return p == '0' ? is_digit(c) : c == p; });
}

int number_at(std::string_view text, size_t at, size_t digits) {
  int value = 0;
  std::from_chars(text.data() + at, text.data() + at + digits, value);
  return value;
}

int days_of(int year, int month) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && is_leap ? 29 : kDays[static_cast<size_t>(month - 1)];
}

bool is_date(std::string_view text) {
  const int month = number_at(text, 5, 2);
  const int day = number_at(text, 8, 2);
  return month >= 1 && month <= 12 && day >= 1 && day <= days_of(number_at(text, 0, 4), month);
}

}  // namespace

bool is_rfc3339_utc(std::string_view text) {
  constexpr std::string_view kSeconds = "0000-00-00T00:00:00";
  if (text.size() <= kSeconds.size() || text.back() != 'Z') return false;
  if (!matches(text.substr(0, kSeconds.size()), kSeconds) || !is_date(text)) return false;
  const std::string_view fraction = text.substr(kSeconds.size(), text.size() - kSeconds.size() - 1);
  const bool has_good_fraction =
      fraction.empty() || (fraction.size() >= 2 && fraction.size() <= 10 && fraction[0] == '.' &&
                           std::all_of(fraction.begin() + 1, fraction.end(), is_digit));
  return has_good_fraction && number_at(text, 11, 2) <= 23 && number_at(text, 14, 2) <= 59 &&
         number_at(text, 17, 2) <= 59;
}

bool is_base_url(std::string_view url) {
  if (url.empty() || url.size() > kMaxUrlBytes || url.back() != '/' || url.front() == '/') {
    return false;
  }
  const auto is_allowed = [](char c) {
    return c > ' ' && c <= '~' && c != '\\' && c != '?' && c != '#' && c != '"';
  };
  if (!std::all_of(url.begin(), url.end(), is_allowed)) return false;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme)) {
      return url.size() > scheme.size() + 1 && url[scheme.size()] != '/';
    }
  }
  // A colon in the first segment would make it a scheme.
  return url.substr(0, url.find('/')).find(':') == url.npos;
}

std::string codec_version_fault(std::string_view codec) {
  if (codec.starts_with(kCodecFamily)) return {};
  if (!codec.starts_with("kvc.")) {
    return fmt::format("\"{}\" is not a kvcast codec; this build decodes \"{}*\"",
                       printable(codec, 80), kCodecFamily);
  }
  return fmt::format(
      "\"{}\" is of another major version; this build decodes \"{}*\": use the matching kvcast, or "
      "pack the context again with this one",
      printable(codec, 80), kCodecFamily);
}

void state_ropes(const std::vector<StatedRope>& ropes, ModelIdentity& model) {
  model.rope.reset();
  model.ropes.clear();
  if (ropes.empty()) return;
  model.rope = RopeParams{ropes[0].layout, ropes[0].theta, ropes[0].rotary_dims};
  if (!is_plain(ropes)) model.ropes = ropes;
}

std::vector<StatedRope> stated_ropes(const ModelIdentity& model) {
  if (!model.ropes.empty() || !model.rope) return model.ropes;
  return {StatedRope{model.rope->layout, model.rope->theta, model.rope->rotary_dims}};
}

std::string codec_string(const ModelIdentity& model) {
  return fmt::format("{}{}.{}.{}x{}.{}x{}.{}", kCodecFamily, model.dtype, model.layers,
                     model.key_heads, model.key_dim, model.value_heads, model.value_dim,
                     model.rope ? model.rope->layout : "none");
}

}  // namespace kvcast::manifests
