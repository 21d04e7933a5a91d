#include "tools/proxy/proxy.h"

#include <fmt/format.h>

#include <memory>
#include <thread>

#include "tools/commands/command.h"
#include "tools/commands/interrupt.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

struct ProxyOptions {
  std::string target, listen = "127.0.0.1:0";
  double rtt_ms = 0, loss = 0;
  uint64_t seed = 1;
  bool json = false;
};

Result<proxy::Address> parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) {
    return Error{ErrorKind::kUsage, "\"" + text + "\" is no HOST:PORT"};
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return proxy::Address{host.empty() ? "127.0.0.1" : host, text.substr(colon + 1)};
}

Result<int> run_proxy(const ProxyOptions& options) {
  const auto target = parse_address(options.target);
  if (!target) return target.error();
  const auto address = parse_address(options.listen);
  if (!address) return address.error();
  proxy::Proxy proxy(*target, {options.rtt_ms * 1e-3, options.loss, options.seed});
  const auto port = proxy.listen(*address);
  if (!port) return port.error();
  InterruptWatch interrupt;
  const std::stop_callback stop(interrupt.token(), [&proxy] { proxy.stop(); });
  if (options.json) {
    fmt::print("{{\"port\": {}}}\n", *port);
    std::fflush(stdout);
  } else {
    fmt::print(stderr, "proxy: {}:{} to {}, round trip {} ms, loss {}, seed {}\n", address->host,
               *port, options.target, options.rtt_ms, options.loss, options.seed);
  }
  proxy.run();
  return 0;
}

}  // namespace

void add_proxy_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<ProxyOptions>();
  CLI::App* command =
      app.add_subcommand("proxy", "Put delay and loss between a player and a server");
  command->add_option("target", options->target, "HOST:PORT to connect to")->required();
  command->add_option("--listen", options->listen, "HOST:PORT; port 0 takes a free one")
      ->capture_default_str();
  command->add_option("--rtt-ms", options->rtt_ms, "Round trip that is added")
      ->check(CLI::Range(0.0, 60'000.0));
  command->add_option("--loss", options->loss, "Probability that a segment is lost, each way")
      ->check(CLI::Range(0.0, 0.5));
  command->add_option("--seed", options->seed, "Decides which are lost")->capture_default_str();
  command->add_flag("--json", options->json, "First line {\"port\": N} once it accepts");
  command->footer(
      "Each connection behaves as a TCP of its own over that path: slow start, its window halved "
      "by losses,\n"
      "bytes after a lost segment waiting for it. Rates are the server's: kvcast serve --pace.\n"
      "Examples:\n"
      "  kvcast serve store --listen 127.0.0.1:8080 --pace 40\n"
      "  kvcast proxy 127.0.0.1:8080 --listen 127.0.0.1:8081 --rtt-ms 20 --loss 0.01\n"
      "  kvcast play http://127.0.0.1:8081/t/public/m/ID.json --ttft-slo-ms 500");
  command->callback([options, &exit_code] {
    const Result<int> code = run_proxy(*options);
    exit_code = code ? *code : report(code.error());
  });
}

}  // namespace kvcast::tools
