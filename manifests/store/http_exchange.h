// One HTTP request and its response over libcurl, and the connections that are kept for the next.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "manifests/staged_file.h"

namespace kvcast::manifests {

struct S3Keys {
  std::string access_key, secret_key, session_token, region;
};

struct HttpParams {
  std::optional<S3Keys> s3;  // signs requests (AWS Signature Version 4)
  std::string bearer_token;  // of an origin; empty: none is sent
  std::string ca_file;       // PEM; empty: the system's
  std::chrono::milliseconds connect_limit{5000};
  std::chrono::milliseconds stall_limit{15'000};  // without a byte either way; felt once a second
};

struct HttpResponse {
  int status = 0;                   // 0: none came
  std::string trouble;              // why none came, or not whole; empty: it is whole
  bool is_retryable = false;        // of trouble
  std::optional<Error> sink_error;  // the sink's own
  std::string body;                 // without sink, or of another status; the first 1 MiB
  std::string entity_tag;           // as sent
  std::optional<uint64_t> content_length;
  std::optional<std::chrono::seconds> retry_after;  // only when given in seconds
};

struct HttpRequest {
  std::string method, url;  // a query comes in the order and escaping that is signed
  std::vector<std::string> headers = {};
  std::string text = {};             // the body of a POST
  const StagedFile* file = nullptr;  // of a PUT: `bytes` from `first` on
  uint64_t first = 0, bytes = 0;
  std::optional<uint64_t> range_first = {};  // of a GET
  // Gets the body of a 200 or 206, with the response so far; none: into `body`.
  std::function<Status(const HttpResponse&, std::span<const std::byte>)> sink = {};
};

// Any number of threads.
class HttpExchange {
 public:
  explicit HttpExchange(HttpParams params);
  ~HttpExchange();
  HttpResponse perform(const HttpRequest& request);
  // What is under way, and all that comes, fails within a second or so.
  void abandon() { abandoned_ = true; }

 private:
  struct Handle;
  std::unique_ptr<Handle> take();
  void give_back(std::unique_ptr<Handle> handle);

  const HttpParams params_;
  std::atomic<bool> abandoned_ = false;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

}  // namespace kvcast::manifests
