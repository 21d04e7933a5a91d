#include "tools/reality/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "origin/server.h"
#include "player/curl_transport.h"
#include "tools/reality/real_play.h"

namespace kvcast::reality {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr int kPlays = 5;
constexpr double kLavishSlo_ms = 60'000;

Result<uint64_t> bytes_on_the_link(const std::string& store, const std::string& manifest) {
  origin::ServerParams params;
  params.root = store;
  params.access_log = false;
  params.threads = 1;
  const auto server = origin::Server::start(params);
  if (!server) return server.error();
  player::CurlTransport transport;
  player::TransferRequest request;
  request.url = fmt::format("http://127.0.0.1:{}/{}", (*server)->port(), manifest);
  request.size_limit_bytes = 64u << 20;
  request.accept_compressed = true;
  transport.start(std::move(request));
  for (;;) {
    for (const player::TransferEvent& event : transport.poll(std::chrono::milliseconds(100))) {
      if (event.kind == player::TransferEvent::Kind::kFailed) {
        return Error{ErrorKind::kIo, manifest + ": " + event.failure.message};
      }
      if (event.kind != player::TransferEvent::Kind::kDone) continue;
      return event.headers.content_length.value_or(event.body.size());
    }
  }
}

}  // namespace

Result<Machine> measure_machine(const std::string& store, const std::string& manifest,
                                const std::string& scratch_folder) {
  Machine machine;
  const auto bytes = bytes_on_the_link(store, manifest);
  if (!bytes) return bytes.error();
  machine.manifest_bytes = *bytes;
  for (int i = 0; i < kPlays; ++i) {
    std::optional<double> first_ms;
    double last_ms = 0;
    RealPlay play;
    play.store = store;
    play.manifest = manifest;
    play.params.ttft_slo_ms = kLavishSlo_ms;
    play.params.controller = "fixed:0";
    play.on_event = [&](const player::PlayEvent& event) {
      if (event.what == "decode" && !first_ms) first_ms = event.time_ms;
      if (event.what == "decoded") last_ms = event.time_ms;
    };
    const auto report = play_for_real(play, scratch_folder);
    if (!report) return report.error();
    const double decode_s = 1e-3 * std::max(1e-3, last_ms - first_ms.value_or(0));
    machine.decode_gb_per_s =
        std::max(machine.decode_gb_per_s, static_cast<double>(report->raw_bytes) / decode_s / 1e9);
  }
  return machine;
}

}  // namespace kvcast::reality
