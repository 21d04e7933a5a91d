// The bytes of one connection through the proxy: read as they come, written when their path has
// delivered them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "tools/proxy/lossy_path.h"

namespace kvcast::proxy {

struct SocketPair : std::enable_shared_from_this<SocketPair> {
  using Socket = boost::asio::ip::tcp::socket;

  SocketPair(Socket c, Socket s) : client(std::move(c)), server(std::move(s)) {}

  // Carries what `from` says to `to` until it ends; `late_s` is added to the first byte's time. The
  // end of one direction is passed on, an error ends both. Keeps the pair alive.
  void spawn(Socket& from, Socket& to, const PathParams& path, double late_s);
  void close();

  Socket client, server;
};

}  // namespace kvcast::proxy
