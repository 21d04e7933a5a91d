// Work that waits for a disk, on threads that serve nobody, while the caller's thread goes on
// serving others.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "origin/net/asio.h"

namespace kvcast::origin {

// Calls `work` once on one of the pool's threads; `work` outlives the wait. What it throws is
// thrown here.
template <typename Work>
asio::awaitable<void> elsewhere(asio::thread_pool& pool, Work& work) {
  auto task = [&work]() -> asio::awaitable<void> {
    work();
    co_return;
  };
  co_await asio::co_spawn(pool.get_executor(), task, asio::use_awaitable);
}

}  // namespace kvcast::origin
