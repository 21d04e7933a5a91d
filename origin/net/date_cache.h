// The wall clock, and the Date field made once a second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast::origin {

int64_t unix_ms_now();

// Used by one thread.
class DateCache {
 public:
  // The second it is, and its HTTP date; the view holds until the next call.
  int64_t now_s();
  std::string_view now();

 private:
  int64_t second_ = -1;
  std::string date_;
};

}  // namespace kvcast::origin
