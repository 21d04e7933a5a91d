#include "player/transport/curl_transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <new>
#include <utility>

#include "player/transport/credentials.h"

namespace kvcast::player {
namespace {

constexpr size_t kMaxHeaderBytes = 256u << 10;     // a response with more is hostile
constexpr size_t kMaxDiscardedBytes = 64u << 10;   // of an error page, to keep its connection
constexpr uint64_t kMaxReserveBytes = 256u << 20;  // sizes come from outside: memory follows bytes
constexpr int64_t kMergeNs = 1'000'000;            // body pieces closer than this are one event
constexpr long kReceiveBufferBytes = 256L << 10;
constexpr long kMaxRedirects = 3;

int64_t to_ns(std::chrono::milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

bool retryable_status(int status) {
  return status == 408 || status == 429 || status >= 500;
}

bool retryable_code(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_AGAIN:
      return true;
    default:
      return false;
  }
}

}  // namespace

int64_t steady_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool set_connection_options(CURL* easy, const CurlTransportParams& params) {
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK;
  };
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION,
      params.http2 ? long{CURL_HTTP_VERSION_2TLS} : long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_USERAGENT, params.user_agent.c_str());
  if (!params.ca_file.empty()) set(CURLOPT_CAINFO, params.ca_file.c_str());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // never waits for a name server when a transfer is cancelled
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  return ok;
}

CurlTransfer::CurlTransfer(TransferId id, TransferRequest request,
                           std::vector<TransferEvent>& events)
    : id_(id), request_(std::move(request)), events_(&events) {}

CurlTransfer::~CurlTransfer() = default;

bool CurlTransfer::begin(const CurlTransportParams& params) {
  start_ns_ = last_ns_ = steady_now_ns();
  easy_.reset(curl_easy_init());
  if (easy_ && set_options(params)) return true;
  TransferFailure failure;
  failure.message = stopped_.value_or("libcurl could not make a handle: out of memory");
  push_failed(std::move(failure));
  return false;
}

bool CurlTransfer::set_options(const CurlTransportParams& params) {
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy_.get(), option, value) == CURLE_OK;
  };
  const bool trusted = trusts(params.credentials, request_.url);
  if (trusted) add_credentials(params.credentials, easy_.get(), request_.headers);
  if (request_.post) {
    request_.headers.emplace_back("Content-Type: application/octet-stream");
    request_.headers.emplace_back("Expect:");  // the body is not worth a round trip of its own
  }
  for (const std::string& header : request_.headers) {
    if (header.find_first_of("\r\n") != std::string::npos) {
      return stop("a request header holds a line end");
    }
    curl_slist* grown = curl_slist_append(headers_.get(), header.c_str());
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(headers_.release());
    headers_.reset(grown);
  }
  set(CURLOPT_URL, request_.url.c_str());
  ok = ok && set_connection_options(easy_.get(), params);
  set(CURLOPT_FOLLOWLOCATION, trusted || request_.post ? 0L : 1L);
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_HTTPHEADER, headers_.get());
  if (request_.post) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.post->size()));
    set(CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(request_.post->data()));  // not copied
  }
  if (request_.accept_compressed) set(CURLOPT_ACCEPT_ENCODING, "");
  if (request_.range) {
    const std::string last = request_.range->last ? fmt::format("{}", *request_.range->last) : "";
    set(CURLOPT_RANGE, fmt::format("{}-{}", request_.range->first, last).c_str());
  }
  if (request_.fresh_connection) {
    set(CURLOPT_FRESH_CONNECT, 1L);
  } else if (params.http2 && request_.url.starts_with("https:")) {
    // A connection under way may turn out to carry any number of transfers: worth waiting for.
    set(CURLOPT_PIPEWAIT, 1L);
  }
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_limit.count()));
  set(CURLOPT_ERRORBUFFER, &error_text_[0]);
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_HEADERFUNCTION, &CurlTransfer::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlTransfer::on_body);
  set(CURLOPT_WRITEDATA, this);
  return ok || stop("libcurl refused an option: out of memory, or built without it");
}

size_t CurlTransfer::on_header(char* data, size_t size, size_t count, void* self) {
  const bool keep = static_cast<CurlTransfer*>(self)->take_header({data, size * count});
  return keep ? size * count : 0;
}

size_t CurlTransfer::on_body(char* data, size_t size, size_t count, void* self) {
  const auto bytes = std::as_bytes(std::span(data, size * count));
  return static_cast<CurlTransfer*>(self)->take_body(bytes) ? size * count : 0;
}

bool CurlTransfer::take_header(std::string_view line) {
  last_ns_ = steady_now_ns();
  if (line.size() > kMaxHeaderBytes - header_bytes_) {
    return stop(fmt::format("more than {} bytes of response headers", kMaxHeaderBytes));
  }
  header_bytes_ += line.size();
  const int64_t ttfb_ns = first_byte_ ? response_.headers.ttfb_ns : last_ns_ - start_ns_;
  first_byte_ = true;
  if (headers_complete_) return true;  // trailers
  parse_header_line(line, std::time(nullptr), response_);
  response_.headers.ttfb_ns = ttfb_ns;
  const bool end = line == "\r\n" || line == "\n";
  if (end && accepted()) {
    headers_complete();
    const auto& length = response_.headers.content_length;
    if (length && *length > request_.size_limit_bytes) {
      too_long_ = true;
      return stop(fmt::format("Content-Length is {}, above the limit of {} bytes", *length,
                              request_.size_limit_bytes));
    }
  }
  return true;
}

void CurlTransfer::headers_complete() {
  headers_complete_ = true;
  long connects = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &connects);
  response_.headers.new_connection = connects > 0;
  if (connects > 0) {
    curl_off_t resolved_us = 0, connected_us = 0, ready_us = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
    curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME_T, &connected_us);
    curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    response_.headers.handshake_ns = std::max<int64_t>(connected_us - resolved_us, 0) * 1000;
    response_.headers.setup_ns = std::clamp<int64_t>(ready_us * 1000, 0, response_.headers.ttfb_ns);
  }
  TransferEvent event;
  event.id = id_;
  event.kind = TransferEvent::Kind::kHeaders;
  event.time_ns = last_ns_;
  event.headers = response_.headers;
  events_->push_back(std::move(event));
}

bool CurlTransfer::take_body(std::span<const std::byte> bytes) {
  last_ns_ = steady_now_ns();
  if (!accepted()) {
    discarded_bytes_ += bytes.size();
    return discarded_bytes_ <= kMaxDiscardedBytes;
  }
  if (bytes.size() > request_.size_limit_bytes - body_.size()) {
    too_long_ = true;
    return stop(fmt::format("more than the {} bytes expected", request_.size_limit_bytes));
  }
  try {
    if (body_.empty()) {
      const uint64_t likely =
          request_.expected_bytes.value_or(response_.headers.content_length.value_or(bytes.size()));
      body_.reserve(std::min({likely, request_.size_limit_bytes, kMaxReserveBytes}));
    }
    body_.insert(body_.end(), bytes.begin(), bytes.end());
    TransferEvent* latest = events_->empty() ? nullptr : &events_->back();
    if (latest == nullptr || latest->id != id_ || latest->kind != TransferEvent::Kind::kData ||
        last_ns_ - latest->time_ns > kMergeNs) {
      latest = &events_->emplace_back();
      latest->id = id_;
      latest->time_ns = last_ns_;
    }
    latest->new_bytes += bytes.size();
  } catch (const std::bad_alloc&) {  // must not cross libcurl, which is C
    return stop("out of memory");
  }
  return true;
}

bool CurlTransfer::accepted() const {
  return response_.headers.status == 200 || response_.headers.status == 206;
}

bool CurlTransfer::stop(std::string message) {
  stopped_ = std::move(message);
  return false;
}

int64_t CurlTransfer::expires_ns() const {
  if (!first_byte_) return start_ns_ + to_ns(request_.first_byte_limit);
  return last_ns_ + to_ns(request_.stall_limit);
}

void CurlTransfer::forgive(int64_t ns) {
  start_ns_ += ns;
  last_ns_ += ns;
}

std::vector<std::byte> CurlTransfer::take_accepted_body() {
  if (!accepted()) return {};
  return std::move(body_);
}

void CurlTransfer::finish(CURLcode code) {
  if (stopped_ || code != CURLE_OK || !accepted()) return push_failed(failure_of(code));
  TransferEvent event;
  event.id = id_;
  event.kind = TransferEvent::Kind::kDone;
  event.time_ns = steady_now_ns();
  event.headers = response_.headers;
  event.body = std::move(body_);
  events_->push_back(std::move(event));
}

void CurlTransfer::expire() {
  TransferFailure failure;
  failure.retryable = true;
  failure.http_status = response_.headers.status;
  failure.message =
      first_byte_ ? fmt::format("no byte for {} ms", request_.stall_limit.count())
                  : fmt::format("no response within {} ms", request_.first_byte_limit.count());
  push_failed(std::move(failure));
}

TransferFailure CurlTransfer::failure_of(CURLcode code) const {
  TransferFailure failure;
  failure.http_status = response_.headers.status;
  failure.too_long = too_long_;
  failure.retry_after = response_.retry_after;
  if (stopped_) {
    failure.message = *stopped_;
  } else if (failure.http_status >= 300 && !accepted() &&
             (code == CURLE_OK || code == CURLE_WRITE_ERROR)) {
    failure.message = fmt::format("HTTP status {}", failure.http_status);
    failure.retryable = retryable_status(failure.http_status);
  } else if (code == CURLE_OK) {
    failure.message =
        fmt::format("HTTP status {} where 200 or 206 was expected", failure.http_status);
  } else {
    failure.curl_code = code;
    failure.message = error_text_[0] != 0 ? &error_text_[0] : curl_easy_strerror(code);
    failure.retryable = retryable_code(code);
  }
  return failure;
}

void CurlTransfer::push_failed(TransferFailure failure) {
  TransferEvent event;
  event.id = id_;
  event.kind = TransferEvent::Kind::kFailed;
  event.time_ns = steady_now_ns();
  event.failure = std::move(failure);
  event.headers = response_.headers;
  event.body = std::move(body_);
  events_->push_back(std::move(event));
}

}  // namespace kvcast::player
