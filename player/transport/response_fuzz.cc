// The header lines of a response.
#include <string_view>

#include "player/transport/response_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  kvcast::player::ParsedResponse response;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    kvcast::player::parse_header_line(text.substr(0, end), 1'700'000'000, response);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return 0;
}
