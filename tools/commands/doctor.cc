#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands/command.h"
#include "tools/commands/network_options.h"
#include "tools/doctor/examination.h"

namespace kvcast::tools {
namespace {

using doctor::Finding;
using doctor::Verdict;
using manifests::Result;

struct DoctorOptions {
  std::string url;
  NetworkOptions network;
  bool json = false;
};

void print_json(const std::string& url, const doctor::Examination& seen, size_t broken,
                size_t poor) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const Finding& finding : seen.findings) {
    findings.push_back({{"check", finding.check},
                        {"verdict", doctor::verdict_name(finding.verdict)},
                        {"finding", finding.finding},
                        {"way_out", finding.way_out}});
  }
  const nlohmann::ordered_json all = {{"url", url},
                                      {"object_url", seen.object_url},
                                      {"broken", broken},
                                      {"poor", poor},
                                      {"ttfb_ms", seen.ttfb_ms},
                                      {"rate_bytes_per_s", seen.rate_bytes_per_s},
                                      {"findings", findings}};
  fmt::print("{}\n", all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_lines(const doctor::Examination& seen, size_t broken, size_t poor) {
  for (const Finding& finding : seen.findings) {
    fmt::print("{:<7}{:<17}{}{}{}\n", doctor::verdict_name(finding.verdict), finding.check,
               finding.finding, finding.way_out.empty() ? "" : " -> ", finding.way_out);
  }
  fmt::print("{}: {} broken, {} poor, {} good\n", seen.object_url, broken, poor,
             seen.findings.size() - broken - poor);
}

Result<int> examine(const DoctorOptions& options) {
  auto params = network_params(options.network, options.url);
  if (!params) return params.error();
  player::CurlProber prober(std::move(*params));
  const auto seen = doctor::examine(
      [&prober](const player::ProbeRequest& request) { return prober.probe(request); },
      options.url);
  if (!seen) return seen.error();
  const auto count = [&](Verdict verdict) {
    return static_cast<size_t>(
        std::count_if(seen->findings.begin(), seen->findings.end(),
                      [&](const Finding& finding) { return finding.verdict == verdict; }));
  };
  const size_t broken = count(Verdict::kBroken), poor = count(Verdict::kPoor);
  options.json ? print_json(options.url, *seen, broken, poor) : print_lines(*seen, broken, poor);
  return broken == 0 ? 0 : static_cast<int>(manifests::ErrorKind::kPromise);
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Tell whether a server or CDN does what players need, and how to make it better");
  command->add_option("url", options->url, "URL of a manifest, or of any file")->required();
  add_network_options(*command, options->network);
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(
      "Examples:\n"
      "  kvcast doctor https://cdn.example/t/public/m/ID.json\n"
      "  kvcast doctor http://127.0.0.1:7480/bucket/t/public/m/ID.json --s3 --json\n"
      "Looks at ranges, validators, caching, CORS, keep-alive, HTTP/2, compression, lengths, "
      "speed.\n"
      "Exit code 1 when something that players need is broken; what is merely poor exits 0.");
  command->callback([options, &exit_code] {
    const Result<int> code = examine(*options);
    exit_code = code ? *code : report(code.error());
  });
}

}  // namespace kvcast::tools
