#include "origin/http/date.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace kvcast::origin {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Reads a date from left to right; after the first mismatch nothing matches any more.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view expected) {
    if (rest_.starts_with(expected)) {
      rest_.remove_prefix(expected.size());
    } else {
      ok_ = false;
    }
  }

  // Exactly `digits` digits; with `space_padded` the first may be a space.
  int number(size_t digits, bool space_padded = false) {
    std::string_view text = rest_.substr(0, digits);
    if (space_padded && text.starts_with(' ')) text.remove_prefix(1);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (rest_.size() < digits || text.starts_with('-') || error != std::errc{} ||
        end != text.data() + text.size()) {
      ok_ = false;
      return 0;
    }
    rest_.remove_prefix(digits);
    return value;
  }

  template <size_t kCount>
  unsigned one_of(const std::array<std::string_view, kCount>& names) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](std::string_view name) { return rest_.starts_with(name); });
    if (found == names.end()) {
      ok_ = false;
      return 0;
    }
    rest_.remove_prefix(found->size());
    return static_cast<unsigned>(found - names.begin());
  }

  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Fields {
  int year = 0, day = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0;  // from 0
};

void scan_time(Scanner& scanner, Fields& fields) {
  fields.hour = scanner.number(2);
  scanner.literal(":");
  fields.minute = scanner.number(2);
  scanner.literal(":");
  fields.second = scanner.number(2);
}

bool scan_imf(std::string_view text, Fields& fields) {
  Scanner scanner(text);
  scanner.one_of(kDays);
  scanner.literal(", ");
  fields.day = scanner.number(2);
  scanner.literal(" ");
  fields.month = scanner.one_of(kMonths);
  scanner.literal(" ");
  fields.year = scanner.number(4);
  scanner.literal(" ");
  scan_time(scanner, fields);
  scanner.literal(" GMT");
  return scanner.at_end();
}

bool scan_rfc850(std::string_view text, Fields& fields) {
  Scanner scanner(text);
  scanner.one_of(kLongDays);
  scanner.literal(", ");
  fields.day = scanner.number(2);
  scanner.literal("-");
  fields.month = scanner.one_of(kMonths);
  scanner.literal("-");
  const int year = scanner.number(2);
  fields.year = year < 70 ? 2000 + year : 1900 + year;
  scanner.literal(" ");
  scan_time(scanner, fields);
  scanner.literal(" GMT");
  return scanner.at_end();
}

bool scan_asctime(std::string_view text, Fields& fields) {
  Scanner scanner(text);
  scanner.one_of(kDays);
  scanner.literal(" ");
  fields.month = scanner.one_of(kMonths);
  scanner.literal(" ");
  fields.day = scanner.number(2, true);
  scanner.literal(" ");
  scan_time(scanner, fields);
  scanner.literal(" ");
  fields.year = scanner.number(4);
  return scanner.at_end();
}

}  // namespace

std::string format_http_date(int64_t unix_s) {
  using namespace std::chrono;
  const sys_seconds time{seconds{unix_s}};
  const sys_days midnight = floor<days>(time);
  const year_month_day date{midnight};
  const hh_mm_ss clock{time - midnight};
  std::array<char, 64> text;
  const int length = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
      kDays[weekday{midnight}.c_encoding()].data(), static_cast<unsigned>(date.day()),
      kMonths[static_cast<unsigned>(date.month()) - 1].data(), static_cast<int>(date.year()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return std::string(text.data(), static_cast<size_t>(length));
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  if (text.empty()) return {};
  Fields fields;
  if (!scan_imf(text, fields) && !scan_rfc850(text, fields) && !scan_asctime(text, fields))
    return {};
  using namespace std::chrono;
  const year_month_day date{year{fields.year}, month{fields.month + 1},
                            day{static_cast<unsigned>(fields.day)}};
  // Second 60 is a leap second: it counts as the next minute's first.
  if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) return {};
  const auto time =
      sys_days{date} + hours{fields.hour} + minutes{fields.minute} + seconds{fields.second};
  return time.time_since_epoch().count();
}

}  // namespace kvcast::origin
