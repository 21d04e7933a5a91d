#include "origin/net/date_cache.h"

#include <ctime>

#include "origin/http/date.h"

namespace kvcast::origin {
namespace {

timespec coarse_now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return time;
}

}  // namespace

int64_t unix_ms_now() {
  const timespec time = coarse_now();
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

int64_t DateCache::now_s() {
  return coarse_now().tv_sec;
}

std::string_view DateCache::now() {
  if (const int64_t second = now_s(); second != second_) {
    second_ = second;
    date_ = format_http_date(second);
  }
  return date_;
}

}  // namespace kvcast::origin
