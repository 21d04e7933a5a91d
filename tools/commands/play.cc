#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/implementation.h"
#include "manifests/file.h"
#include "player/curl_transport.h"
#include "player/player.h"
#include "player/recording_transport.h"
#include "tools/commands/command.h"
#include "tools/commands/play_continuation.h"
#include "tools/commands/play_device.h"
#include "tools/commands/play_engine.h"
#include "tools/commands/play_memory.h"
#include "tools/commands/play_options.h"
#include "tools/commands/play_recording.h"
#include "tools/commands/play_screen.h"
#include "tools/commands/token_ids.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kMaxSuffixBytes = 1u << 24;

struct Inputs {
  std::unique_ptr<PlayEngine> engine;
  std::vector<uint32_t> suffix;
  player::Source source;
};

Result<std::string> read_text(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxSuffixBytes);
  if (!bytes) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

Result<Inputs> read_inputs(const PlayOptions& options) {
  Inputs inputs;
  player::Source& source = inputs.source;
  source.manifest_url = options.url;
  source.store_url = options.store;
  source.tenant = options.tenant;
  if (const char* salt = std::getenv("KVCAST_SALT")) source.seed.salt = salt;
  source.seed.weights = options.weights;
  source.seed.adapter = options.adapter;
  if (!options.tokens.empty()) {
    auto ids = read_token_ids(options.tokens);
    if (!ids) return ids.error();
    source.tokens = std::move(*ids);
  }
  if (!options.engine.empty()) {
    auto model = engine::Model::load(options.engine);
    if (!model) return model.error();
    source.seed.weights = model->weights_id();
    inputs.engine = std::make_unique<PlayEngine>(std::move(*model), options.threads);
  }
  if (!options.suffix.empty()) {
    if (!inputs.engine) {
      return Error{ErrorKind::kUsage, "--suffix needs --engine: something has to prefill it"};
    }
    const auto text = read_text(options.suffix);
    if (!text) return text.error();
    auto ids = inputs.engine->model().tokenizer().encode(*text);
    if (!ids) return ids.error();
    inputs.suffix = std::move(*ids);
  }
  return inputs;
}

player::PlayParams make_params(const PlayOptions& options, const Inputs& inputs) {
  player::PlayParams params = options.params;
  if (options.max_level >= 0) params.max_level = static_cast<uint32_t>(options.max_level);
  if (!inputs.engine) return params;
  const engine::Model& model = inputs.engine->model();
  params.engine = {model.weights_id(), options.adapter, model.config().geometry(),
                   fmt::format("pocket engine, {} threads", inputs.engine->threads())};
  const uint64_t all = inputs.source.tokens.size(), suffix = inputs.suffix.size();
  params.suffix_prefill_ms_after = [engine = inputs.engine.get(), all, suffix](uint64_t context) {
    const uint64_t rest = suffix + (all > context ? all - context : 0);
    return engine->first_token_ms(context, std::max<uint64_t>(rest, 1));
  };
  return params;
}

struct Played {
  player::PlayReport report;
  std::vector<player::LinkRate> link;  // as it was
  FirstToken first;
};

// The tokens between the KV that was handed over and the first token to come: what the store did
// not have, then the suffix; or the last context token again, when there is nothing else.
Result<FirstToken> first_token(Inputs& inputs, const player::HostKvSink& sink, uint64_t tokens) {
  FirstToken first;
  first.begin = tokens;
  const std::vector<uint32_t>& given = inputs.source.tokens;
  if (given.size() > tokens) {
    first.rest.assign(given.begin() + static_cast<int64_t>(tokens), given.end());
  }
  first.rest.insert(first.rest.end(), inputs.suffix.begin(), inputs.suffix.end());
  if (first.rest.empty()) {
    const std::vector<uint32_t>& ids = sink.about().token_ids;
    if (tokens == 0 || ids.size() < tokens) {
      return Error{ErrorKind::kUsage,
                   "the presentation has no text, so the engine lacks a token to go on from: pass "
                   "--suffix or --tokens"};
    }
    --first.begin;
    first.rest.push_back(ids[tokens - 1]);
  }
  auto logits = inputs.engine->first_token(sink, first.begin, first.rest);
  if (!logits) return logits.error();
  first.logits = std::move(*logits);
  return first;
}

// Where --device, or --implementation cuda, decodes to; null: host memory.
Result<std::unique_ptr<PlayDevice>> open_device(const PlayOptions& options) {
  const char* implementation = std::getenv(kernels::kImplementationVariable);
  const bool cuda = implementation != nullptr && std::string(implementation) == "cuda";
  if (options.device.empty() && !cuda) return std::unique_ptr<PlayDevice>();
  return PlayDevice::open(options.device.empty() ? "0" : options.device, options.layout,
                          options.max_sms);
}

Result<Played> run(const PlayOptions& options, Inputs& inputs, player::HostKvSink& sink,
                   Screen& screen) {
  auto device = open_device(options);
  if (!device) return device.error();
  if (inputs.engine) {
    const uint64_t rest = std::max<uint64_t>(inputs.suffix.size(), 1);
    if (Status warm = inputs.engine->warm_up(rest); !warm) return warm.error();
  }
  player::PlayParams params = make_params(options, inputs);
  params.cmcd = !options.no_cmcd;
  params.download.patience = std::chrono::milliseconds(options.patience_ms);
  if (options.late_limit_ms) {
    params.download.late_limit = std::chrono::milliseconds(*options.late_limit_ms);
  }
  auto connections =
      network_params(options.network, options.url.empty() ? options.store : options.url);
  if (!connections) return connections.error();
  connections->max_connections = player::transport_connections(params);
  player::CurlTransport curl(std::move(*connections));
  player::RecordingTransport transport(curl);
  const auto on_event = [&screen](const player::PlayEvent& event) { screen.show(event); };
  PlayMemory memory(!options.no_prior);
  params.history = memory.history();
  params.start_ns = transport.now_ns();
  player::KvSink& to = *device ? static_cast<player::KvSink&>((*device)->sink()) : sink;
  player::Recompute* recompute = *device ? nullptr : inputs.engine.get();  // its KV is on the host
  auto report = options.raw()
                    ? player::play_raw(transport, options.url, params, to, on_event)
                    : player::play(transport, inputs.source, params, to, recompute, on_event);
  if (!report) return report.error();
  if (*device && report->tokens > 0) {
    if (Status read = (*device)->sink().read_back(sink); !read) return read.error();
  }
  Played played{std::move(*report), transport.link(*params.start_ns), {}};
  if (!inputs.engine) {
    memory.keep();
    return played;
  }
  auto first = first_token(inputs, sink, played.report.tokens);
  if (!first) return first.error();
  played.report.ttft_ms = static_cast<double>(transport.now_ns() - *params.start_ns) * 1e-6;
  played.report.met = played.report.ttft_ms <= played.report.ttft_slo_ms;
  memory.keep();
  played.first = std::move(*first);
  return played;
}

Result<int> play_and_tell(const PlayOptions& options) {
  auto inputs = read_inputs(options);
  if (!inputs) return inputs.error();
  player::SafetensorsKvSink sink(options.out);
  Screen screen(!options.json && isatty(STDERR_FILENO) != 0);
  auto played = run(options, *inputs, sink, screen);
  screen.end();
  if (!played) return played.error();
  player::PlayReport& report = played->report;

  std::string continuation;
  if (inputs->engine) {
    auto going_on =
        continue_play(*inputs->engine, played->first, options.continue_tokens, options.reference);
    if (!going_on) return going_on.error();
    continuation = going_on->text;
    report.mean_kl = going_on->mean_kl;
    report.top1_agreement = going_on->top1_agreement;
  }
  if (!options.out.empty() && report.tokens > 0) {
    if (Status written = sink.write(); !written) return written.error();
  }
  if (!options.record.empty()) {
    if (Status written = write_recording(options.record, report, played->link); !written) {
      return written.error();
    }
  }
  if (!options.report.empty()) {
    if (Status written = player::write_report(options.report, report, screen.events()); !written) {
      return written.error();
    }
  }
  if (options.json) {
    auto json = nlohmann::ordered_json::parse(player::report_json(report));
    if (inputs->engine) json["continuation"] = continuation;
    fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_summary(report, continuation);
  }
  return report.met ? 0 : static_cast<int>(ErrorKind::kPromise);
}

}  // namespace

void add_play_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<PlayOptions>();
  CLI::App* command = app.add_subcommand(
      "play", "Load a context's KV cache before a deadline, and produce the first token");
  add_play_options(*command, *options);
  command->callback([options, &exit_code] {
    if (const Status sound = check_play_options(*options); !sound) {
      exit_code = report(sound.error());
      return;
    }
    const Result<int> code = play_and_tell(*options);
    exit_code = code ? *code : report(code.error());
  });
}

}  // namespace kvcast::tools
