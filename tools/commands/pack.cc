#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "packager/packager.h"
#include "tools/commands/command.h"
#include "tools/commands/interrupt.h"
#include "tools/commands/pack_progress.h"
#include "tools/commands/salt.h"

namespace kvcast::tools {
namespace {

using packager::PackParams;
using packager::PackReport;

struct PackOptions {
  PackParams params;
  std::string salt_file;
  std::vector<std::string> base_urls;
  bool no_text = false, json = false;
  uint64_t memory_mb = 0;
};

double elements_of(const PackReport& report) {
  const manifests::ModelIdentity& model = report.manifest.model;
  return static_cast<double>(report.raw_bytes) / (model.dtype == "F32" ? 4 : 2);
}

void print_json(const PackReport& report, double seconds) {
  nlohmann::ordered_json json;
  json["manifest"] = report.manifest_path;
  json["presentation"] = report.manifest.id;
  json["tokens"] = report.manifest.tokens;
  json["chunks"] = report.manifest.chunks.size();
  json["raw_bytes"] = report.raw_bytes;
  json["bytes_by_level"] = report.bytes_by_level;
  json["exact_bytes"] = report.exact_bytes;
  json["profile_bytes"] = report.profile_bytes;
  json["text_object_bytes"] = report.text_object_bytes;
  json["distortion_by_level"] = report.distortion_by_level;
  json["non_finite_elements"] = report.non_finite_elements;
  json["manifest_written"] = report.manifest_written;
  json["objects_written"] = report.objects_written;
  json["objects_reused"] = report.objects_reused;
  json["prefix_entries_written"] = report.prefix_entries_written;
  json["prefix_entries_reused"] = report.prefix_entries_reused;
  json["threads"] = report.threads;
  json["seconds"] = seconds;
  std::printf("%s\n", json.dump().c_str());
}

void print_row(const std::string& name, uint64_t bytes, const PackReport& report,
               const std::string& distortion) {
  const double raw = static_cast<double>(report.raw_bytes);
  const double size = static_cast<double>(bytes);
  std::printf("%s\n", fmt::format("{:<8} {:>14} {:>8.2f}% {:>10.2f} {:>12}", name, bytes,
                                  100 * size / raw, 8 * size / elements_of(report), distortion)
                          .c_str());
}

void print_summary(const PackReport& report, double seconds) {
  const manifests::Manifest& manifest = report.manifest;
  std::printf("%s\n", report.manifest_path.c_str());
  std::printf("%s\n",
              fmt::format("{} tokens in {} chunks, {} raw bytes, {:.2f} s ({:.1f} MB/s, {} "
                          "threads)",
                          manifest.tokens, manifest.chunks.size(), report.raw_bytes, seconds,
                          static_cast<double>(report.raw_bytes) / 1e6 / seconds, report.threads)
                  .c_str());
  std::printf("%s\n", fmt::format("{:<8} {:>14} {:>9} {:>10} {:>12}", "level", "bytes", "of raw",
                                  "bits/elem", "distortion")
                          .c_str());
  for (size_t level = 0; level < report.bytes_by_level.size(); ++level) {
    print_row(std::to_string(level), report.bytes_by_level[level], report,
              fmt::format("{:.3g}", report.distortion_by_level[level]));
  }
  if (report.exact_bytes > 0) print_row("exact", report.exact_bytes, report, "0");
  print_row("profile", report.profile_bytes, report, "");
  if (report.text_object_bytes > 0) print_row("text", report.text_object_bytes, report, "");
  std::printf("%s\n", fmt::format("objects: {} written, {} reused; prefix entries: {} written, {} "
                                  "reused; manifest {}",
                                  report.objects_written, report.objects_reused,
                                  report.prefix_entries_written, report.prefix_entries_reused,
                                  report.manifest_written ? "written" : "was there")
                          .c_str());
}

int run(const PackOptions& options) {
  PackParams params = options.params;
  params.include_text = !options.no_text;
  params.memory_bytes = options.memory_mb << 20;
  for (const std::string& url : options.base_urls) {
    params.base_urls.push_back({url, static_cast<uint32_t>(params.base_urls.size() + 1), 1});
  }
  auto salt = read_salt(options.salt_file);
  if (!salt.ok()) return report(salt.error());
  params.salt = std::move(*salt);

  const auto start = std::chrono::steady_clock::now();
  PackProgressLine progress;
  const InterruptWatch interrupt;
  const auto packed = packager::pack(
      params, [&](const packager::PackProgress& step) { progress.show(step); }, interrupt.token());
  progress.end();
  if (!packed.ok()) return report(packed.error());
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (packed->non_finite_elements > 0) {
    std::fprintf(stderr,
                 "kvcast: %llu elements are not finite (%s): 0 in the levels, kept in the exact "
                 "objects\n",
                 static_cast<unsigned long long>(packed->non_finite_elements),
                 packed->first_non_finite.c_str());
  }
  options.json ? print_json(*packed, seconds) : print_summary(*packed, seconds);
  return 0;
}

void add_codec_options(CLI::App& command, PackParams& params) {
  command.add_option("--profile", params.profile,
                     "Profile object to code with (default: measured on the first chunk)");
  command.add_option("--chunk-tokens", params.chunk_tokens, "Tokens of a chunk, a multiple of 16")
      ->capture_default_str();
  command.add_option("--levels", params.levels, "Quality levels of a measured profile")
      ->capture_default_str()
      ->excludes("--profile");
  command
      .add_option("--step", params.step,
                  "Quantiser step of its finest level, in standard deviations of a channel")
      ->capture_default_str()
      ->excludes("--profile");
  command
      .add_option("--rounding", params.rounding,
                  "Its rounding: 0.5 rounds to nearest, less zeroes more")
      ->capture_default_str()
      ->excludes("--profile");
  command.add_flag(
      "--exact", params.exact,
      "Also store the cache losslessly; allows NaN and infinity, which are 0 in the levels");
  command.add_option("--floor-level", params.floor_level,
                     "Lowest level a player may use for the last chunk");
}

void add_store_options(CLI::App& command, manifests::StoreOptions& store) {
  const auto group = [](CLI::Option* option) { option->group("Remote stores"); };
  group(command.add_option(
      "--endpoint", store.endpoint,
      "S3 endpoint, http(s)://HOST[:PORT]; default: AWS_ENDPOINT_URL, else Amazon's"));
  group(command.add_option("--region", store.region, "S3 region; default: AWS_REGION, us-east-1"));
  group(command.add_flag("--virtual-host", store.virtual_host,
                         "The bucket's name in the host, not in the path"));
  group(command
            .add_option_function<uint64_t>(
                "--part-mb", [&store](uint64_t mb) { store.part_bytes = mb << 20; },
                "Larger files go to S3 in parts of so many MiB; default 16")
            ->check(CLI::Range(5, 5120)));
  group(command.add_option("--bearer-file", store.bearer_file,
                           "File with the bearer token for an origin (or KVCAST_BEARER_TOKEN)"));
  group(command.add_option("--cacert", store.ca_file,
                           "PEM file of certificates to trust instead of the system's"));
}

}  // namespace

void add_pack_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("pack", "Turn a KV cache into chunks at several quality levels");
  const auto options = std::make_shared<PackOptions>();
  PackParams& params = options->params;
  command
      ->add_option("input", params.input,
                   "KV cache, safetensors (layers.<i>.key, layers.<i>.value)")
      ->required();
  command
      ->add_option("--out", params.out,
                   "Root of the store: a directory, s3://BUCKET/PREFIX, or http(s)://ORIGIN that "
                   "takes uploads")
      ->required();
  command->add_option("--tenant", params.tenant, "Tenant below the root")->capture_default_str();
  add_codec_options(*command, params);
  add_store_options(*command, params.store);
  command->add_flag("--no-text", options->no_text, "Store neither token ids nor text");
  command->add_option("--base-url", options->base_urls,
                      "Where players find the tenant's folder; several: in order of preference");
  command->add_option("--expires", params.expires,
                      "RFC 3339 time in UTC, for players and cleaners");
  command->add_option("--salt-file", options->salt_file,
                      "Secret that prefix hashes start from (else KVCAST_SALT)");
  command->add_option("--threads", params.threads, "0: all cores")->capture_default_str();
  command
      ->add_option("--memory-mb", options->memory_mb,
                   "What workers may hold together; limits their number (0: 1.25 raw chunks)")
      ->check(CLI::Range(uint64_t{0}, std::numeric_limits<uint64_t>::max() >> 20))
      ->capture_default_str();
  command->add_flag("--verify-existing", params.verify_existing,
                    "Hash objects that exist instead of trusting name and size");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Examples:\n"
      "  kvcast pack kv.safetensors --out store\n"
      "  kvcast pack kv.safetensors --out store --chunk-tokens 128 --exact --json\n"
      "  kvcast pack kv.safetensors --out store --tenant acme --salt-file salt --no-text\n"
      "  kvcast pack kv.safetensors --out s3://contexts/prod --region eu-north-1\n"
      "  kvcast pack kv.safetensors --out https://origin.example --bearer-file token\n"
      "Keys of S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or AWS_PROFILE of\n"
      "~/.aws/credentials. The manifest comes last: an interrupted run shows nothing, and a "
      "second\n"
      "one sends only what is missing.\n"
      "SOURCE_DATE_EPOCH, where set, is the time of creation.");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kvcast::tools
