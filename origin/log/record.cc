#include "origin/log/record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "origin/http/thousandths.h"

namespace kvcast::origin {
namespace {

bool is_plain(char c) {
  return (c >= 0x20) & (c < 0x7f) & (c != '"') & (c != '\\');
}

// Without branches, so that it takes many bytes at a time.
bool is_all_plain(std::string_view text) {
  unsigned odd = 0;
  for (const char c : text) odd |= static_cast<unsigned>(!is_plain(c));
  return odd == 0;
}

void append_string(std::string_view text, std::string& to) {
  if (is_all_plain(text)) {
    to += '"';
    to += text;
    to += '"';
    return;
  }
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

void append_number(std::string_view key, uint64_t number, std::string& to) {
  append_key(key, to);
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  to.append(digits.data(), end);
}

void append_ms(std::string_view key, double ms, std::string& to) {
  append_key(key, to);
  append_thousandths(ms, to);
}

// The last `width` digits of `number`, to where `at` points, which moves behind them and `after`.
void put_digits(unsigned number, size_t width, char after, char*& at) {
  for (size_t i = width; i > 0; --i, number /= 10) at[i - 1] = static_cast<char>('0' + number % 10);
  at += width;
  *at++ = after;
}

void append_time(int64_t unix_ms, std::string& to) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds{unix_ms}};
  const sys_days midnight = floor<days>(time);
  const year_month_day date{midnight};
  const auto ms = static_cast<unsigned>((time - midnight).count());
  std::array<char, sizeof "\"2026-11-21T01:02:03.004Z\"" - 1> text;
  char* at = text.data();
  *at++ = '"';
  put_digits(static_cast<unsigned>(static_cast<int>(date.year())), 4, '-', at);
  put_digits(static_cast<unsigned>(date.month()), 2, '-', at);
  put_digits(static_cast<unsigned>(date.day()), 2, 'T', at);
  put_digits(ms / 3'600'000, 2, ':', at);
  put_digits(ms / 60'000 % 60, 2, ':', at);
  put_digits(ms / 1000 % 60, 2, '.', at);
  put_digits(ms % 1000, 3, 'Z', at);
  *at = '"';
  to.append(text.data(), text.size());
}

}  // namespace

void append_access_line(const AccessRecord& record, std::string& to) {
  to += "{\"time\":";
  append_time(record.unix_ms, to);
  append_text("peer", record.peer, to);
  append_text("method", record.method, to);
  append_text("path", record.path, to);
  append_number("status", static_cast<uint64_t>(record.status), to);
  append_number("bytes", record.bytes, to);
  if (!record.complete) to += ",\"complete\":false";
  if (!record.range.empty()) append_text("range", record.range, to);
  append_ms("duration_ms", record.duration_ms, to);
  append_ms("ttfb_ms", record.ttfb_ms, to);
  if (!record.user_agent.empty()) append_text("user_agent", record.user_agent, to);
  if (!record.cmcd.empty()) append_text("cmcd", record.cmcd, to);
  if (!record.key_id.empty()) append_text("key", record.key_id, to);
  to += "}\n";
}

}  // namespace kvcast::origin
