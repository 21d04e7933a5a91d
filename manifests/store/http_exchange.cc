#include "manifests/store/http_exchange.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <string_view>
#include <utility>

#include "manifests/digest.h"

namespace kvcast::manifests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxBodyBytes = 1 << 20;
constexpr size_t kHashPieceBytes = 256 << 10;
constexpr long kBufferBytes = 256L << 10;

bool is_retryable(CURLcode code) {
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
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

std::string lower(std::string_view text) {
  std::string low(text);
  for (char& c : low) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return low;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

// What libcurl's callbacks share while one request runs.
struct Exchange {
  const HttpRequest& request;
  HttpResponse response;
  std::string stop;  // why this side broke off
  uint64_t sent = 0;
  std::chrono::milliseconds stall_limit;
  const std::atomic<bool>& abandoned;
  curl_off_t moved = 0;
  Clock::time_point moved_at = Clock::now();

  void take_header(std::string_view line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {  // of each response: 100 Continue comes first
      response.entity_tag.clear();
      response.content_length.reset();
      response.retry_after.reset();
      const size_t space = line.find(' ');
      response.status = space == line.npos ? 0 : number<int>(line.substr(space + 1, 3)).value_or(0);
      return;
    }
    const size_t colon = line.find(':');
    if (colon == line.npos) return;
    const std::string name = lower(line.substr(0, colon));
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
    if (name == "etag") response.entity_tag = value;
    if (name == "content-length") response.content_length = number<uint64_t>(value);
    if (name == "retry-after") {
      if (const auto seconds = number<uint32_t>(value)) {
        response.retry_after = std::chrono::seconds(*seconds);
      }
    }
  }

  bool take_body(std::span<const std::byte> bytes) {
    if (request.sink && (response.status == 200 || response.status == 206)) {
      Status taken = request.sink(response, bytes);
      if (!taken.ok()) response.sink_error = taken.error();
      return taken.ok();
    }
    const size_t room = kMaxBodyBytes - response.body.size();
    response.body.append(reinterpret_cast<const char*>(bytes.data()), std::min(room, bytes.size()));
    return true;
  }

  size_t give_body(std::span<std::byte> to) {
    const size_t count = std::min<uint64_t>(to.size(), request.bytes - sent);
    const Status read = request.file->read(request.first + sent, to.first(count));
    if (!read.ok()) {
      stop = read.error().message;
      return CURL_READFUNC_ABORT;
    }
    sent += count;
    return count;
  }

  bool is_stalled(curl_off_t now_moved) {
    const Clock::time_point now = Clock::now();
    if (now_moved != moved) {
      moved = now_moved;
      moved_at = now;
    }
    if (abandoned) stop = "given up";
    return abandoned || now - moved_at >= stall_limit;
  }
};

size_t on_header(char* data, size_t size, size_t count, void* self) {
  static_cast<Exchange*>(self)->take_header({data, size * count});
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* self) {
  const auto bytes = std::as_bytes(std::span(data, size * count));
  return static_cast<Exchange*>(self)->take_body(bytes) ? size * count : 0;
}

size_t on_send(char* data, size_t size, size_t count, void* self) {
  return static_cast<Exchange*>(self)->give_body(
      std::as_writable_bytes(std::span(data, size * count)));
}

int on_rewind(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(self)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* self, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
  return static_cast<Exchange*>(self)->is_stalled(received + sent) ? 1 : 0;
}

// What a signature covers of the body: its hash, so that a byte changed on the way is refused.
Result<std::string> payload_hash(const HttpRequest& request) {
  if (request.file == nullptr && request.method != "POST") return std::string("UNSIGNED-PAYLOAD");
  Sha256 hash;
  hash.update(std::as_bytes(std::span(request.text)));
  std::vector<std::byte> piece(std::min<uint64_t>(request.bytes, kHashPieceBytes));
  for (uint64_t at = 0; at < request.bytes; at += piece.size()) {
    const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), request.bytes - at));
    if (Status read = request.file->read(request.first + at, part); !read.ok()) return read.error();
    hash.update(part);
  }
  return hash.finish().hex();
}

struct Options {
  CURL* easy;
  bool ok = true;
  template <typename T>
  void operator()(CURLoption option, T value) {
    ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK;
  }
};

using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// Those of the request, and what proves who sends it.
Status add_headers(const HttpParams& params, const HttpRequest& request, Options& set,
                   HeaderList& list) {
  std::vector<std::string> headers = request.headers;
  if (params.s3) {
    const auto hash = payload_hash(request);
    if (!hash.ok()) return hash.error();
    headers.push_back("x-amz-content-sha256: " + *hash);
    if (!params.s3->session_token.empty()) {
      headers.push_back("x-amz-security-token: " + params.s3->session_token);
    }
    set(CURLOPT_AWS_SIGV4, ("aws:amz:" + params.s3->region + ":s3").c_str());
    set(CURLOPT_USERNAME, params.s3->access_key.c_str());
    set(CURLOPT_PASSWORD, params.s3->secret_key.c_str());
  } else if (!params.bearer_token.empty()) {
    headers.push_back("Authorization: Bearer " + params.bearer_token);
  }
  for (const std::string& header : headers) {
    curl_slist* grown = curl_slist_append(list.get(), header.c_str());
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(grown);
  }
  set(CURLOPT_HTTPHEADER, list.get());
  return {};
}

void set_transfer(const HttpParams& params, Exchange& exchange, Options& set) {
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_USERAGENT, "kvcast");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, kBufferBytes);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
  if (!params.ca_file.empty()) set(CURLOPT_CAINFO, params.ca_file.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(params.connect_limit.count()));
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
}

void set_method(Exchange& exchange, Options& set) {
  const HttpRequest& request = exchange.request;
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT") {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.bytes));
    set(CURLOPT_READFUNCTION, &on_send);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, &on_rewind);
    set(CURLOPT_SEEKDATA, &exchange);
  } else if (request.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.text.size()));
    set(CURLOPT_POSTFIELDS, request.text.c_str());
  } else if (request.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  if (request.range_first) set(CURLOPT_RANGE, (std::to_string(*request.range_first) + "-").c_str());
}

}  // namespace

struct HttpExchange::Handle {
  CURL* easy = curl_easy_init();
  ~Handle() { curl_easy_cleanup(easy); }
};

HttpExchange::HttpExchange(HttpParams params) : params_(std::move(params)) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady != CURLE_OK) throw std::bad_alloc();
}

HttpExchange::~HttpExchange() = default;

std::unique_ptr<HttpExchange::Handle> HttpExchange::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  auto handle = std::make_unique<Handle>();
  if (handle->easy == nullptr) throw std::bad_alloc();
  return handle;
}

void HttpExchange::give_back(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->easy);  // keeps its connections
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(handle));
}

HttpResponse HttpExchange::perform(const HttpRequest& request) {
  std::unique_ptr<Handle> handle = take();
  Exchange exchange{request, {}, {}, 0, params_.stall_limit, abandoned_};
  HttpResponse& response = exchange.response;
  HeaderList list(nullptr, &curl_slist_free_all);
  char error_text[CURL_ERROR_SIZE] = {};
  Options set{handle->easy};
  if (Status added = add_headers(params_, request, set, list); !added.ok()) {
    response.trouble = added.error().message;
    return std::move(response);
  }
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_ERRORBUFFER, &error_text[0]);
  set_transfer(params_, exchange, set);
  set_method(exchange, set);
  if (!set.ok) {
    response.trouble = "libcurl refused an option: out of memory, or built without it";
    return std::move(response);
  }
  const CURLcode code = curl_easy_perform(handle->easy);
  if (!exchange.stop.empty()) {
    response.trouble = exchange.stop;
  } else if (code == CURLE_ABORTED_BY_CALLBACK) {
    response.trouble =
        "no byte came or went for " + std::to_string(params_.stall_limit.count()) + " ms";
    response.is_retryable = true;
  } else if (code != CURLE_OK && !response.sink_error) {
    response.trouble = error_text[0] != 0 ? &error_text[0] : curl_easy_strerror(code);
    response.is_retryable = is_retryable(code);
  }
  give_back(std::move(handle));
  return std::move(response);
}

}  // namespace kvcast::manifests
