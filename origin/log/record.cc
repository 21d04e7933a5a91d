#include "origin/log/record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace kvcast::origin {
namespace {

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void append_string(std::string_view text, std::string& to) {
  constexpr std::string_view kHex = "0123456789abcdef";
  to += '"';
  while (!text.empty()) {
    const auto plain_end = std::find_if_not(text.begin(), text.end(), is_plain);
    const auto plain = static_cast<size_t>(plain_end - text.begin());
    to += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    if (byte == '"' || byte == '\\') {
      to += '\\';
      to += static_cast<char>(byte);
    } else {
      to += "\\u00";
      to += kHex[byte >> 4];
      to += kHex[byte & 15];
    }
  }
  to += '"';
}

void append_key(std::string_view key, std::string& to) {
  to += ",\"";
  to += key;
  to += "\":";
}

void append_text(std::string_view key, std::string_view value, std::string& to) {
  append_key(key, to);
  append_string(value, to);
}

template <typename Number, typename... Format>
void append_number(std::string_view key, Number number, std::string& to, Format... format) {
  append_key(key, to);
  std::array<char, 64> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), number, format...).ptr;
  to.append(digits.data(), end);
}

void append_digits(unsigned number, size_t width, std::string& to) {
  to.append(width, '0');
  for (auto digit = to.rbegin(); number > 0; ++digit, number /= 10) {
    *digit = static_cast<char>('0' + number % 10);
  }
}

void append_time(int64_t unix_ms, std::string& to) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds{unix_ms}};
  const sys_days midnight = floor<days>(time);
  const year_month_day date{midnight};
  const auto ms = static_cast<unsigned>((time - midnight).count());
  const struct {
    unsigned number;
    size_t width;
    char after;
  } parts[] = {{static_cast<unsigned>(static_cast<int>(date.year())), 4, '-'},
               {static_cast<unsigned>(date.month()), 2, '-'},
               {static_cast<unsigned>(date.day()), 2, 'T'},
               {ms / 3'600'000, 2, ':'},
               {ms / 60'000 % 60, 2, ':'},
               {ms / 1000 % 60, 2, '.'},
               {ms % 1000, 3, 'Z'}};
  to += '"';
  for (const auto& part : parts) {
    append_digits(part.number, part.width, to);
    to += part.after;
  }
  to += '"';
}

}  // namespace

void append_access_line(const AccessRecord& record, std::string& to) {
  to += "{\"time\":";
  append_time(record.unix_ms, to);
  append_text("peer", record.peer, to);
  append_text("method", record.method, to);
  append_text("path", record.path, to);
  append_number("status", record.status, to);
  append_number("bytes", record.bytes, to);
  if (!record.complete) to += ",\"complete\":false";
  if (!record.range.empty()) append_text("range", record.range, to);
  append_number("duration_ms", record.duration_ms, to, std::chars_format::fixed, 3);
  append_number("ttfb_ms", record.ttfb_ms, to, std::chars_format::fixed, 3);
  if (!record.user_agent.empty()) append_text("user_agent", record.user_agent, to);
  if (!record.cmcd.empty()) append_text("cmcd", record.cmcd, to);
  if (!record.key_id.empty()) append_text("key", record.key_id, to);
  to += "}\n";
}

}  // namespace kvcast::origin
