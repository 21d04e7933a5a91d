// An HTTP server that misbehaves as told, on a port of 127.0.0.1, for tests: raw sockets, a thread
// a connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kvcast::player {

class ScriptedServer {
 public:
  enum class Then {
    kKeep,   // wait for the next request
    kClose,  // end the connection properly
    kReset,  // RST, which may overtake bytes sent before
    kHang,   // send nothing more until the client goes away
  };
  struct Reply {
    std::string bytes;  // status line, headers, body: as they are
    Then then = Then::kKeep;
  };
  // Called with the request's head, by one thread at a time.
  using Handler = std::function<Reply(const std::string& request)>;

  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();  // ends every connection
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url(const std::string& path) const;  // path starts with '/'
  uint32_t connections() const { return connections_; }
  uint32_t requests() const { return requests_; }

 private:
  void accept_all();
  void serve(int socket);
  bool answer(int socket, const std::string& request);

  Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<uint32_t> connections_{0}, requests_{0};
  std::mutex mutex_;  // sockets_, threads_, handler_
  bool stopping_ = false;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// A response with Content-Length.
std::string http_ok(const std::string& body, const std::string& more_headers = "");

}  // namespace kvcast::player
