// A name server that never answers: getaddrinfo of this program takes its time for names ending in
// .stuck, until a test lets it go.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>

#include "player/curl_transport.h"

namespace {

constexpr std::chrono::seconds kMost{60};  // no test waits for it unless it fails

struct Resolver {
  std::mutex mutex;
  std::condition_variable changed;
  uint32_t entered = 0, left = 0;
  bool open = false, ran_out = false;
};

Resolver& resolver() {
  static Resolver one;
  return one;
}

}  // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  if (node != nullptr && std::string_view(node).ends_with(".stuck")) {
    Resolver& one = resolver();
    std::unique_lock lock(one.mutex);
    ++one.entered;
    one.changed.notify_all();
    if (!one.changed.wait_for(lock, kMost, [&] { return one.open; })) one.ran_out = true;
    ++one.left;
    one.changed.notify_all();
    return EAI_AGAIN;
  }
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, result);
}

namespace kvcast::player {
namespace {

TEST(CurlTransport, ANameServerThatHangsKeepsNobodyWaiting) {
  Resolver& one = resolver();
  {
    CurlTransport transport;
    TransferRequest request;
    request.url = "http://name.stuck/o";
    request.connect_limit = request.first_byte_limit = request.stall_limit = kMost;
    const TransferId id = transport.start(request);
    request.first_byte_limit = request.connect_limit = std::chrono::milliseconds(20);
    transport.start(request);
    transport.warm("http://warm.stuck/", 1);
    bool limited = false;
    while (!limited) {
      for (const TransferEvent& event : transport.poll(kMost)) {
        limited = limited || event.kind == TransferEvent::Kind::kFailed;
      }
      const std::lock_guard lock(one.mutex);
      ASSERT_FALSE(one.ran_out) << "a limit waits for the name server";
    }
    transport.cancel(id);
  }
  std::unique_lock lock(one.mutex);
  if (one.entered == 0) GTEST_SKIP() << "this libcurl resolves names without getaddrinfo";
  EXPECT_FALSE(one.ran_out) << "cancelling waits for the name server";
  one.open = true;
  one.changed.notify_all();
  EXPECT_TRUE(one.changed.wait_for(lock, kMost, [&] { return one.left == one.entered; }));
}

}  // namespace
}  // namespace kvcast::player
