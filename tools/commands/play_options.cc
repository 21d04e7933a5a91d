#include "tools/commands/play_options.h"

namespace kvcast::tools {
namespace {

void add_source_options(CLI::App& command, PlayOptions& options) {
  command.add_option("url", options.url,
                     "URL of a manifest; or of an uncompressed KV file (.safetensors), which is "
                     "fetched whole");
  command.add_option("--store", options.store,
                     "URL of a store's root: finds the presentation of the longest prefix of "
                     "--tokens (salt: KVCAST_SALT)");
  command.add_option("--tokens", options.tokens,
                     "File with the context's token ids, a JSON list or separated by white space");
  command.add_option("--tenant", options.tenant, "Tenant in the store")->capture_default_str();
  command.add_option("--weights", options.weights,
                     "Id of the model's weights for --store; default: of --engine");
  command.add_option("--adapter", options.adapter, "Id of the adapter (LoRA), if any");
}

void add_plan_options(CLI::App& command, PlayOptions& options) {
  player::PlayParams& params = options.params;
  command.add_option("--ttft-slo-ms", params.ttft_slo_ms, "Deadline of the first token")
      ->required()
      ->check(CLI::PositiveNumber);
  command
      .add_option(
          "--controller", params.controller,
          "layered, layered-no-text, refetch, chance, robust-mpc, throughput, cachegen-paper, "
          "cachegen-artifact, fixed:<level>, text; raw for a .safetensors URL")
      ->capture_default_str();
  command.add_option("--min-level", params.min_level, "No chunk below this level");
  command.add_option("--max-level", options.max_level, "No plane above this level")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--exact", params.exact, "The lossless objects instead of planes");
  command
      .add_option("--gpu-seconds-price", params.gpu_seconds_price,
                  "Quality (0 to 1) that a second of recomputation must bring")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--finish-early", params.finish_early,
                   "Start as soon as every chunk has its least level");
  command.add_option("--connections", params.connections, "Parallel connections")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_flag(
      "--no-prior", options.no_prior,
      "Neither use nor remember what plays learn about links, decoding and recomputing "
      "(kvcast/history.json in the user's cache folder)");
  command
      .add_option("--patience-ms", options.patience_ms,
                  "Give up when the deadline has passed and nothing has arrived for so long")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command
      .add_option("--late-limit-ms", options.late_limit_ms,
                  "Give up so long after the deadline whatever is under way; default: finish late, "
                  "while bytes arrive or the engine recomputes")
      ->check(CLI::Range(0, 3'600'000));
  command.add_flag("--no-cmcd", options.no_cmcd,
                   "Do not tell servers about requests in CMCD headers (deadline, rate, level)");
  command.add_option("--decode-threads", params.decode_threads, "Threads that decode")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

}  // namespace

void add_play_options(CLI::App& command, PlayOptions& options) {
  add_source_options(command, options);
  add_plan_options(command, options);
  add_network_options(command, options.network);
  command.add_option("--engine", options.engine,
                     "Folder of a model (config.json, model.safetensors, tokenizer.json) that "
                     "recomputes and produces the first token");
  command.add_option("--threads", options.threads, "Threads of the engine; default one per core")
      ->check(CLI::Range(1, 1024));
  command.add_option("--suffix", options.suffix, "Text file to prefill after the context");
  command.add_option("--continue", options.continue_tokens, "Tokens to generate, greedily")
      ->check(CLI::Range(0, 65536));
  command.add_option("--reference", options.reference,
                     "The uncompressed KV file: compares next-token distributions with it");
  command.add_option("--out", options.out, "KV file to write (safetensors)");
  command.add_option(
      "--device", options.device,
      "Decode on this CUDA device (0, 1, ...) into a cache in its memory, which --out "
      "and --engine read back; the engine recomputes nothing then. \"emulated\" runs "
      "the device's path without a GPU, slowly. --implementation cuda means 0");
  command
      .add_option("--layout", options.layout,
                  "Of the device's cache: contiguous, paged, packed, across-layers")
      ->needs("--device")
      ->capture_default_str();
  command
      .add_option("--max-sms", options.max_sms,
                  "Multiprocessors that decoding may fill at a time; default a quarter of them")
      ->needs("--device");
  command.add_option("--report", options.report,
                     "Folder for report.html, report.json, events.jsonl and perfetto.json");
  command.add_option("--record", options.record,
                     "File for the link's rate as it was, seconds and Mbit/s a line: kvcast "
                     "simulate --traces and kvcast serve --pace replay it");
  command.add_flag("--json", options.json, "Print the report as one JSON object");
  command.footer(
      "Examples:\n"
      "  kvcast play http://host/t/public/m/ID.json --ttft-slo-ms 500 --engine DIR --suffix q.txt\n"
      "  kvcast play --store http://host/ --tokens ids.json --ttft-slo-ms 500 --engine DIR\n"
      "  kvcast play http://host/t/public/m/ID.json --ttft-slo-ms 2000 --out kv.safetensors "
      "--json\n"
      "  kvcast play http://host/t/public/m/ID.json --ttft-slo-ms 500 --report out --record "
      "link.trace\n"
      "  kvcast play http://host/t/public/m/ID.json --ttft-slo-ms 500 --device 0 --layout paged\n"
      "Exit code 1 when the first token came after the deadline, or the play gave up on it.");
}

manifests::Status check_play_options(const PlayOptions& options) {
  const auto usage = [](const char* message) {
    return manifests::Error{manifests::ErrorKind::kUsage, message};
  };
  if (options.url.empty() == options.store.empty()) {
    return usage("play: give either a URL or --store");
  }
  if (!options.store.empty() && options.tokens.empty()) {
    return usage("play: --store needs --tokens: they are what is looked up");
  }
  if (!options.store.empty() && options.engine.empty() && options.weights.empty()) {
    return usage("play: --store needs --engine or --weights: caches are stored per model");
  }
  if (options.params.controller == "raw" && !options.raw()) {
    return usage("play: --controller raw needs the URL of a .safetensors file");
  }
  if (!options.reference.empty() && options.engine.empty()) {
    return usage("play: --reference needs --engine: it compares what the model says next");
  }
  if (options.continue_tokens > 0 && options.engine.empty()) {
    return usage("play: --continue needs --engine");
  }
  return {};
}

}  // namespace kvcast::tools
