// Boost.Beast's HTTP/1 parser, filling a Request without allocating per field. Pure: bytes in,
// request or status out.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <string_view>

#include "origin/http/request.h"

namespace kvcast::origin {

struct HeadLimits {
  size_t header_bytes = 16384;  // request line and fields: 431 beyond
  size_t target_bytes = 4096;   // 414 beyond
};

// For one request. `request` outlives it. Not thread-safe.
class RequestParser : private boost::beast::http::basic_parser<true> {
 public:
  RequestParser(Request& request, const HeadLimits& limits);

  // Takes whole lines from the front of `bytes` and says how many bytes that was; the rest is to be
  // given again with more behind it. Stops after the header: what follows is body or the next
  // request.
  size_t put(std::string_view bytes);

  bool done() const { return is_header_done(); }
  // 0, or the status that refuses this request (400, 414, 431, 501, 505); then the connection
  // cannot be used further.
  int error_status() const { return error_status_; }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb method, string_view method_name, string_view target,
                       int version, error_code& error) override;
  void on_field_impl(boost::beast::http::field field, string_view name, string_view value,
                     error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  int status_of(const error_code& error) const;

  Request& request_;
  const HeadLimits limits_;
  size_t taken_bytes_ = 0;
  bool has_request_line_ = false, has_content_length_ = false;
  int error_status_ = 0;
};

}  // namespace kvcast::origin
