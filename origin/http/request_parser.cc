#include "origin/http/request_parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

namespace kvcast::origin {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

void join(std::string& to, std::string_view value) {
  if (!to.empty()) to += ", ";
  to += value;
}

// A field continued on the next line (RFC 9112 §5.2): obsolete, and read in two ways by servers in
// a row. `lines` begins at the start of a line.
bool has_folded_line(std::string_view lines) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  for (size_t end = lines.find('\n'); end + 1 < lines.size(); end = lines.find('\n', end + 1)) {
    if (is_blank(lines[end + 1])) return true;
  }
  return false;
}

}  // namespace

RequestParser::RequestParser(Request& request, const HeadLimits& limits)
    : request_(request), limits_(limits) {
  request_.clear();
  // Lines are limited by Beast, their sum by put(); bodies are the session's business.
  header_limit(static_cast<std::uint32_t>(std::min<size_t>(limits.header_bytes, UINT32_MAX)));
  body_limit(boost::none);
}

size_t RequestParser::put(std::string_view bytes) {
  error_code error;
  const size_t taken =
      basic_parser::put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  taken_bytes_ += taken;
  if (!error && taken > 0 && has_folded_line(bytes.substr(0, taken))) {
    error = http::error::bad_field;
  }
  const bool needs_more = error == http::error::need_more || (!error && !done());
  const size_t seen_bytes = taken_bytes_ + (needs_more ? bytes.size() - taken : 0);
  if (error && error != http::error::header_limit && !needs_more) {
    error_status_ = status_of(error);
  } else if (error == http::error::header_limit || seen_bytes > limits_.header_bytes ||
             (needs_more && seen_bytes == limits_.header_bytes)) {
    // Beast may hold the request line back until the whole header is there.
    const bool has_line_end = bytes.substr(0, limits_.header_bytes).find('\n') != bytes.npos;
    error_status_ = has_request_line_ || has_line_end ? 431 : 414;
  }
  return taken;
}

int RequestParser::status_of(const error_code& error) const {
  if (error_status_ != 0) return error_status_;  // set by one of the callbacks below
  if (error == http::error::bad_version) return 505;
  return 400;
}

void RequestParser::on_request_impl(http::verb method, string_view method_name, string_view target,
                                    int version, error_code& error) {
  has_request_line_ = true;
  request_.method = method == http::verb::get       ? Method::kGet
                    : method == http::verb::head    ? Method::kHead
                    : method == http::verb::options ? Method::kOptions
                    : method == http::verb::put     ? Method::kPut
                    : method == http::verb::delete_ ? Method::kDelete
                    : method == http::verb::post    ? Method::kPost
                                                    : Method::kOther;
  request_.method_name = view(method_name);
  request_.target = view(target);
  request_.http11 = version == 11;
  if (target.size() > limits_.target_bytes) {
    error_status_ = 414;
    error = http::error::bad_target;
  }
}

void RequestParser::on_field_impl(http::field field, string_view name, string_view value,
                                  error_code& error) {
  switch (field) {
    case http::field::host:
      if (request_.host) error = http::error::bad_field;  // two hosts: which one is meant?
      request_.host.emplace(view(value));
      return;
    case http::field::range:
      return join(request_.range, view(value));
    case http::field::if_range:
      return join(request_.if_range, view(value));
    case http::field::if_match:
      return join(request_.if_match, view(value));
    case http::field::if_none_match:
      return join(request_.if_none_match, view(value));
    case http::field::if_modified_since:
      return join(request_.if_modified_since, view(value));
    case http::field::if_unmodified_since:
      return join(request_.if_unmodified_since, view(value));
    case http::field::authorization:
      return join(request_.authorization, view(value));
    case http::field::accept_encoding:
      return join(request_.accept_encoding, view(value));
    case http::field::content_range:
      return join(request_.content_range, view(value));
    case http::field::content_encoding:
      return join(request_.content_encoding, view(value));
    case http::field::user_agent:
      return join(request_.user_agent, view(value));
    case http::field::transfer_encoding:
      request_.chunked = true;
      if (!beast::iequals(value, "chunked")) {
        error_status_ = 501;
        error = http::error::bad_transfer_encoding;
      }
      return;
    case http::field::content_length:
      // Twice, even the same, and in one field: whoever stands in front may believe in another one.
      if (has_content_length_ || value.find_first_not_of("0123456789") != value.npos) {
        error = http::error::bad_content_length;
      }
      has_content_length_ = true;
      return;
    case http::field::expect:
      request_.expects_continue = true;
      return;
    case http::field::unknown:
      if (name.size() > 5 && beast::iequals(name.substr(0, 5), "CMCD-")) {
        join(request_.cmcd, view(value));
      }
      return;
    default:
      return;
  }
}

void RequestParser::on_header_impl(error_code& error) {
  // RFC 9112 3.2: a request of HTTP/1.1 without Host is a bad one.
  if (request_.http11 && !request_.host) error = http::error::bad_field;
  request_.keep_alive = keep_alive();
  request_.body_bytes = content_length().value_or(0);
}

}  // namespace kvcast::origin
