#include "player/transport/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace kvcast::player {

ScriptedServer::ScriptedServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || bind(listener_, generic, length) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, generic, &length) != 0) {
    throw std::runtime_error("no listening socket on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (int each : sockets_) shutdown(each, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  for (int each : sockets_) close(each);
  close(listener_);
}

std::string ScriptedServer::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + path;
}

void ScriptedServer::accept_all() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);  // closed by the destructor only: numbers are not reused meanwhile
    if (stopping_) return;
    ++connections_;
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void ScriptedServer::serve(int socket) {
  std::string received;
  char piece[4096];
  for (;;) {
    const size_t end = received.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::string request = received.substr(0, end + 4);
      received.erase(0, end + 4);
      if (!answer(socket, request)) return;
      continue;
    }
    const ssize_t count = recv(socket, piece, sizeof(piece), 0);
    if (count <= 0) return;
    received.append(piece, static_cast<size_t>(count));
  }
}

bool ScriptedServer::answer(int socket, const std::string& request) {
  Reply reply;
  {
    const std::lock_guard lock(mutex_);
    ++requests_;
    reply = handler_(request);
  }
  for (size_t sent = 0; sent < reply.bytes.size();) {
    const ssize_t count =
        send(socket, reply.bytes.data() + sent, reply.bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  if (reply.then == Then::kKeep) return true;
  if (reply.then == Then::kClose) shutdown(socket, SHUT_RDWR);
  if (reply.then == Then::kHang) {
    char ignored = 0;
    while (recv(socket, &ignored, 1, 0) > 0) {
    }
  }
  if (reply.then == Then::kReset) {
    // Dissolving the association resets the connection and keeps the descriptor.
    const linger at_once{1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;
    connect(socket, &nowhere, sizeof(nowhere));
  }
  return false;
}

std::string http_ok(const std::string& body, const std::string& more_headers) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         more_headers + "\r\n" + body;
}

}  // namespace kvcast::player
