#include "origin/testing/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace kvcast::origin::testing {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

Response parse_head(std::string_view head) {
  Response response;
  response.status = std::stoi(std::string(head.substr(9, 3)));
  size_t begin = head.find("\r\n") + 2;
  while (begin < head.size()) {
    const size_t end = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, end - begin);
    begin = end + 2;
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    std::string& value = response.fields[lower(std::string(line.substr(0, colon)))];
    if (!value.empty()) value += ", ";
    value += line.substr(colon + 2);
  }
  return response;
}

}  // namespace

const std::string& Response::field(const std::string& name) const {
  static const std::string kNone;
  const auto found = fields.find(name);
  return found == fields.end() ? kNone : found->second;
}

Client::Client(uint16_t port, int receive_buffer_bytes) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  const timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd_);
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  }
}

Client::~Client() {
  ::close(fd_);
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

void Client::finish_sending() {
  ::shutdown(fd_, SHUT_WR);
}

bool Client::fill() {
  std::array<char, 65536> buffer;
  const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got > 0) received_.append(buffer.data(), static_cast<size_t>(got));
  return got > 0;
}

Response Client::receive(bool head_only) {
  size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return {};
  }
  Response response = parse_head(received_.substr(0, end + 2));
  received_.erase(0, end + 4);
  const std::string& length = response.field("content-length");
  const size_t bytes = head_only || length.empty() ? 0 : std::stoull(length);
  while (received_.size() < bytes && fill()) {
  }
  response.complete = received_.size() >= bytes;
  response.body = received_.substr(0, bytes);
  received_.erase(0, bytes);
  return response;
}

void Client::wait_for_answer() {
  char byte;
  if (received_.empty()) (void)::recv(fd_, &byte, 1, MSG_PEEK);
}

bool Client::is_closed_by_peer() {
  char byte;
  const ssize_t got = received_.empty() ? ::recv(fd_, &byte, 1, 0) : 1;
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

Response Client::request(std::string_view method, std::string_view target, std::string_view more) {
  std::string text(method);
  ((text += ' ') += target) += " HTTP/1.1\r\nHost: test\r\n";
  (text += more) += "\r\n";
  send(text);
  return receive(method == "HEAD");
}

Response get(uint16_t port, std::string_view target, std::string_view more) {
  return Client(port).get(target, more);
}

}  // namespace kvcast::origin::testing
