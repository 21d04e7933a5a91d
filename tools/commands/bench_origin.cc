#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "origin/server.h"
#include "player/curl_transport.h"
#include "tools/commands/bench.h"
#include "tools/commands/command.h"
#include "tools/commands/scratch_folder.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

struct OriginBench {
  std::vector<uint32_t> connections = {1, 8};
  std::vector<double> mbit_per_s = {16, 80, 400};
  double seconds = 2;
  bool json = false;
};

// Seconds to fetch `bytes` in as many ranges as there are connections, all at once, from the first
// request on.
Result<double> fetch(const std::string& url, uint64_t bytes, uint32_t connections) {
  player::CurlTransportParams params;
  params.max_connections = connections;
  player::CurlTransport transport(params);
  const int64_t start_ns = transport.now_ns();
  for (uint32_t i = 0; i < connections; ++i) {
    const uint64_t first = bytes * i / connections, end = bytes * (i + 1) / connections;
    player::TransferRequest request;
    request.url = url;
    request.range = player::ByteRange{first, end - 1};
    request.size_limit_bytes = end - first;
    request.expected_bytes = end - first;
    transport.start(std::move(request));
  }
  int64_t last_ns = start_ns;
  for (uint32_t running = connections; running > 0;) {
    for (const player::TransferEvent& event : transport.poll(std::chrono::milliseconds(100))) {
      if (event.kind == player::TransferEvent::Kind::kFailed)
        return Error{ErrorKind::kIo, url + ": " + event.failure.message};
      if (event.kind != player::TransferEvent::Kind::kDone) continue;
      last_ns = std::max(last_ns, event.time_ns);
      --running;
    }
  }
  return static_cast<double>(last_ns - start_ns) / 1e9;
}

// One paced server a measurement, so that each starts with a fresh bucket.
Result<nlohmann::json> measure(const OriginBench& bench, const ScratchFolder& scratch,
                               double mbit_per_s, uint32_t connections) {
  const auto bytes = static_cast<uint64_t>(mbit_per_s * 1e6 / 8 * bench.seconds);
  std::ofstream(scratch.in("file.bin"), std::ios::binary) << std::string(bytes, 'x');
  origin::ServerParams params;
  params.root = scratch.path();
  params.access_log = false;
  params.pace = fmt::format("{}", mbit_per_s);
  auto server = origin::Server::start(params);
  if (!server) return server.error();
  auto seconds =
      fetch(fmt::format("http://127.0.0.1:{}/file.bin", (*server)->port()), bytes, connections);
  if (!seconds) return seconds.error();
  return nlohmann::json{{"operation", "pace"},      {"connections", connections},
                        {"mbit_per_s", mbit_per_s}, {"expected_s", bench.seconds},
                        {"measured_s", *seconds},   {"ratio", *seconds / bench.seconds}};
}

int run(const OriginBench& bench) {
  const ScratchFolder scratch;
  std::vector<nlohmann::json> rows;
  for (const double mbit_per_s : bench.mbit_per_s) {
    for (const uint32_t connections : bench.connections) {
      auto row = measure(bench, scratch, mbit_per_s, connections);
      if (!row) return report(row.error());
      if (!bench.json)
        fmt::print("pace {:>6} Mbit/s, {} connection(s): {:.3f} s for {:.1f} s of bytes, {:.3f}x\n",
                   mbit_per_s, connections, (*row)["measured_s"].get<double>(), bench.seconds,
                   (*row)["ratio"].get<double>());
      rows.push_back(std::move(*row));
    }
  }
  if (bench.json) fmt::print("{}\n", nlohmann::json{{"rows", rows}}.dump());
  return 0;
}

}  // namespace

void add_bench_origin(CLI::App& bench, int& exit_code) {
  auto params = std::make_shared<OriginBench>();
  CLI::App* command =
      bench.add_subcommand("origin", "How exactly a paced origin keeps to its rate");
  command->add_option("--connections", params->connections, "numbers of connections to try")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command->add_option("--mbit-per-s", params->mbit_per_s, "rates to try")->capture_default_str();
  command->add_option("--seconds", params->seconds, "length of one measurement")
      ->capture_default_str();
  command->add_flag("--json", params->json, "one JSON object on stdout");
  command->footer("Example: kvcast bench origin --connections 1 8 --mbit-per-s 16 80");
  command->callback([params, &exit_code] { exit_code = run(*params); });
}

}  // namespace kvcast::tools
