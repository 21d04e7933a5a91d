// An HTTP client that hides nothing: bytes out, responses in. Blocking; gives up after 10 s.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvcast::origin::testing {

struct Response {
  int status = 0;                             // 0: the connection ended before a whole head came
  std::map<std::string, std::string> fields;  // names in lower case; repeated ones joined by ", "
  std::string body;
  bool complete = false;  // as long as Content-Length says

  const std::string& field(const std::string& name) const;  // "" if absent
};

class Client {
 public:
  // `receive_buffer_bytes` 0: the kernel's choice.
  explicit Client(uint16_t port, int receive_buffer_bytes = 0);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes);  // errors show as a response of status 0
  void finish_sending();              // half-closes
  Response receive(bool head_only = false);
  // Returns when an answer has begun to come, which stays to be received; or nothing came for 10 s.
  void wait_for_answer();
  // Whether the server closes within 10 s, sending nothing more.
  bool is_closed_by_peer();
  // `more` are header lines, each with its CRLF.
  Response request(std::string_view method, std::string_view target, std::string_view more = "");
  Response get(std::string_view target, std::string_view more = "") {
    return request("GET", target, more);
  }

 private:
  bool fill();  // false at the end

  int fd_ = -1;
  std::string received_;
};

// One request on a connection of its own.
Response get(uint16_t port, std::string_view target, std::string_view more = "");

}  // namespace kvcast::origin::testing
