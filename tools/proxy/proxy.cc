#include "tools/proxy/proxy.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tools/proxy/direction.h"

namespace kvcast::proxy {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

}  // namespace

struct Proxy::State {
  Address target;
  PathParams path;
  uint64_t connections = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};

  PathParams path_of(uint64_t connection, uint64_t direction) const {
    PathParams own = path;
    own.seed = path.seed * 0x9E3779B97F4A7C15u + 2 * connection + direction;
    return own;
  }

  // The client's handshake was with us and took no time: its first bytes wait for the round trip
  // that a handshake with the target would have taken.
  asio::awaitable<void> serve(tcp::socket client, uint64_t number) {
    tcp::resolver resolver(io);
    auto [unresolved, endpoints] =
        co_await resolver.async_resolve(target.host, target.port, kNoThrow);
    if (unresolved) co_return;
    tcp::socket server(io);
    boost::system::error_code refused;
    for (const auto& endpoint : endpoints) {
      server = tcp::socket(io);
      std::tie(refused) = co_await server.async_connect(endpoint.endpoint(), kNoThrow);
      if (!refused) break;
    }
    if (refused) co_return;
    boost::system::error_code ignored;
    client.set_option(tcp::no_delay(true), ignored);
    server.set_option(tcp::no_delay(true), ignored);
    const auto pair = std::make_shared<SocketPair>(std::move(client), std::move(server));
    pair->spawn(pair->client, pair->server, path_of(number, 0), path.rtt_s);
    pair->spawn(pair->server, pair->client, path_of(number, 1), 0);
  }

  asio::awaitable<void> accept_all() {
    for (;;) {
      auto [error, client] = co_await acceptor.async_accept(kNoThrow);
      if (error == asio::error::operation_aborted) co_return;
      if (error) continue;
      asio::co_spawn(io, serve(std::move(client), connections++), asio::detached);
    }
  }
};

Proxy::Proxy(Address target, PathParams path)
    : state_(std::make_unique<State>(std::move(target), path)) {}

Proxy::~Proxy() = default;

manifests::Result<uint16_t> Proxy::listen(const Address& address) {
  boost::system::error_code error;
  const auto fail = [&] {
    return manifests::Error{manifests::ErrorKind::kIo,
                            address.host + ":" + address.port + ": " + error.message()};
  };
  tcp::resolver resolver(state_->io);
  const auto found = resolver.resolve(address.host, address.port, tcp::resolver::passive, error);
  if (error) return fail();
  const tcp::endpoint endpoint = found.begin()->endpoint();
  tcp::acceptor& acceptor = state_->acceptor;
  if (acceptor.open(endpoint.protocol(), error); error) return fail();
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (acceptor.bind(endpoint, error); error) return fail();
  if (acceptor.listen(asio::socket_base::max_listen_connections, error); error) return fail();
  asio::co_spawn(state_->io, state_->accept_all(), asio::detached);
  return acceptor.local_endpoint().port();
}

void Proxy::run() {
  state_->io.run();
}

void Proxy::stop() {
  state_->io.stop();
}

}  // namespace kvcast::proxy
