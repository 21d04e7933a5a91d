// An S3 of one bucket in memory on a port of 127.0.0.1, which misbehaves as told. It knows what a
// store asks of it, and checks no signature: the real gateway does. Tests only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kvcast::manifests {

struct FakeRequest {
  std::string method, path, query;            // path: without the bucket, "/" in front
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
};

enum class Fault {
  kNone,
  kSlowDown,        // 503 with Retry-After: 1
  kServerError,     // 500
  kForbidden,       // 403 AccessDenied
  kNotImplemented,  // 501
  kStall,           // takes the request, and never answers
  kStallInBody,     // half of the body, and nothing more
  kReset,           // ends the connection instead of answering
  kTruncate,        // ends it within the body
  kLostAnswer,      // does what is asked, and ends the connection instead of saying so
};

class FakeS3 {
 public:
  static constexpr const char* kBucket = "/bucket";

  FakeS3();
  ~FakeS3();  // ends every connection
  FakeS3(const FakeS3&) = delete;
  FakeS3& operator=(const FakeS3&) = delete;

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Asked for each request, by one thread at a time; to be set before requests come.
  std::function<Fault(const FakeRequest&)> fault;
  bool ignores_ranges = false;
  bool lists_for_ever = false;  // the same page again and again

  std::map<std::string, std::string> objects() const;  // by path, "/" in front
  void set(const std::string& path, std::string bytes);
  std::vector<FakeRequest> requests() const;  // without bodies
  size_t unfinished_uploads() const;

 private:
  struct Answer {
    int status = 200;
    std::string fields, body;
  };
  void accept_all();
  void serve(int socket);
  bool reply(int socket, const FakeRequest& request);
  Answer answer(const FakeRequest& request);
  Answer get(const FakeRequest& request);
  Answer put(const FakeRequest& request);
  Answer post(const FakeRequest& request);
  Answer list(const FakeRequest& request);

  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::map<std::string, std::string> objects_;
  std::map<std::string, std::map<int, std::string>> uploads_;
  std::vector<FakeRequest> requests_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace kvcast::manifests
