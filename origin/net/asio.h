// Asio's names as the origin uses them. The library itself is compiled once, in asio.cc.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace kvcast::origin {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// `auto [error, ...] = co_await x.async_y(..., kNoThrow)`
inline constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

}  // namespace kvcast::origin
