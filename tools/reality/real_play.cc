#include "tools/reality/real_play.h"

#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <optional>
#include <thread>

#include "origin/server.h"
#include "player/curl_transport.h"
#include "tools/proxy/proxy.h"
#include "tools/reality/shaped_link.h"
#include "tools/reality/timed_engine.h"

namespace kvcast::reality {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using player::PlayReport;

constexpr double kBytesPerSPerMbit = 1e6 / 8;

Result<std::string> write_trace(const std::vector<player::LinkTrace::Step>& steps,
                                const std::string& folder) {
  const std::string path = folder + "/link.trace";
  std::ofstream out(path);
  for (const player::LinkTrace::Step& step : steps) {
    out << fmt::format("{:.9g} {:.9g}\n", step.begin_s, step.bytes_per_s / kBytesPerSPerMbit);
  }
  out.flush();
  if (!out) return Error{ErrorKind::kIo, path + ": cannot be written"};
  return path;
}

class ProxyThread {
 public:
  explicit ProxyThread(proxy::Proxy& proxy) : proxy_(proxy), thread_([&proxy] { proxy.run(); }) {}
  ~ProxyThread() {
    proxy_.stop();
    thread_.join();
  }

 private:
  proxy::Proxy& proxy_;
  std::thread thread_;
};

Result<PlayReport> play_from(const RealPlay& play, const std::string& address) {
  player::CurlTransportParams network;
  network.max_connections = player::transport_connections(play.params);
  player::CurlTransport transport(network);
  player::HostKvSink sink;
  std::optional<TimedEngine> engine;
  if (play.tokens_per_s > 0) engine.emplace(play.tokens_per_s, play.position_cost);
  player::Source source;
  source.manifest_url = fmt::format("http://{}/{}", address, play.manifest);
  return player::play(transport, source, play.params, sink, engine ? &*engine : nullptr,
                      play.on_event);
}

Result<PlayReport> play_through_proxy(const RealPlay& play, uint16_t port) {
  proxy::Proxy proxy({"127.0.0.1", fmt::format("{}", port)},
                     {play.link.rtt_s, play.link.loss, play.link.seed});
  const auto listening = proxy.listen({"127.0.0.1", "0"});
  if (!listening) return listening.error();
  const ProxyThread running(proxy);
  return play_from(play, fmt::format("127.0.0.1:{}", *listening));
}

// The player's thread, and those that it starts, live at the far end of the link.
Result<PlayReport> play_at_far_end(const RealPlay& play, const ShapedLink& link, uint16_t port) {
  Result<PlayReport> report = Error{};
  std::thread([&] {
    if (const manifests::Status inside = link.enter(); !inside) {
      report = inside.error();
      return;
    }
    report = play_from(play, fmt::format("{}:{}", link.host(), port));
  }).join();
  return report;
}

}  // namespace

const char* name_of(Path path) {
  switch (path) {
    case Path::kOrigin:
      return "origin";
    case Path::kProxy:
      return "proxy";
    case Path::kShaped:
      return "shaped";
  }
  return "";
}

Result<PlayReport> play_for_real(const RealPlay& play, const std::string& scratch_folder) {
  origin::ServerParams params;
  params.root = play.store;
  params.access_log = false;
  params.threads = 1;
  std::unique_ptr<ShapedLink> shaped;
  if (play.link.path == Path::kShaped) {
    auto link = ShapedLink::make(play.link.steps.front().bytes_per_s);
    if (!link) return link.error();
    shaped = std::move(*link);
    params.host = shaped->host();
  } else if (!play.link.steps.empty()) {
    auto trace = write_trace(play.link.steps, scratch_folder);
    if (!trace) return trace.error();
    params.pace = *trace;
  }
  const auto server = origin::Server::start(params);
  if (!server) return server.error();
  const uint16_t port = (*server)->port();
  if (shaped) return play_at_far_end(play, *shaped, port);
  if (play.link.path == Path::kProxy) return play_through_proxy(play, port);
  return play_from(play, fmt::format("127.0.0.1:{}", port));
}

}  // namespace kvcast::reality
