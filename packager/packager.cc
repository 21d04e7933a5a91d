#include "packager/packager.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include "kernels/plane.h"
#include "manifests/open_store.h"
#include "manifests/prefix_hash.h"
#include "manifests/text.h"
#include "packager/encode/chunk_encoder.h"
#include "packager/profile/profile_choice.h"
#include "packager/publish/prefix_entries.h"
#include "packager/publish/presentation.h"
#include "packager/source/kv_source.h"
#include "packager/store/object_store.h"

namespace kvcast::packager {
namespace {

using manifests::Digest;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Manifest;
using manifests::ObjectRef;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kLeastMemoryBytes = uint64_t{128} << 20;

Error usage(std::string message) {
  return {ErrorKind::kUsage, std::move(message)};
}

Status check_params(const PackParams& params) {
  if (params.input.empty() || params.out.empty()) return usage("an input and an output are needed");
  if (!manifests::is_valid_name(params.tenant)) {
    return usage(fmt::format("tenant \"{}\": expected 1-64 of [A-Za-z0-9._-], no dot in front",
                             params.tenant));
  }
  if (params.chunk_tokens == 0 || params.chunk_tokens % manifests::kPrefixBlockTokens != 0 ||
      params.chunk_tokens > kMaxChunkTokens) {
    return usage(fmt::format("chunks of {} tokens: expected a multiple of {}, at most {}",
                             params.chunk_tokens, manifests::kPrefixBlockTokens, kMaxChunkTokens));
  }
  if (params.levels == 0 || params.levels > kernels::kMaxLevels) {
    return usage(fmt::format("{} levels: expected 1 to {}", params.levels, kernels::kMaxLevels));
  }
  if (!(params.step > 0.0f && params.step <= 16.0f)) {
    return usage(fmt::format("step {}: expected more than 0, at most 16", params.step));
  }
  if (!(params.rounding > 0.0f && params.rounding <= 0.5f)) {
    return usage(fmt::format("rounding {}: expected more than 0, at most 0.5", params.rounding));
  }
  if (params.threads > kMaxThreads) {
    return usage(fmt::format("{} threads: at most {}", params.threads, kMaxThreads));
  }
  return {};
}

Status check_size(const PackParams& params, const KvSource& source) {
  const uint64_t chunks = (source.tokens() - 1) / params.chunk_tokens + 1;
  if (chunks <= manifests::kMaxChunks) return {};
  return usage(fmt::format(
      "{}: {} tokens make {} chunks of {}, at most {} are supported; use larger "
      "chunks",
      source.path(), source.tokens(), chunks, params.chunk_tokens, manifests::kMaxChunks));
}

// One packaging, step by step.
class Packaging {
 public:
  Packaging(const PackParams& params, const PackProgressCallback& progress, std::stop_token stop,
            KvSource source, manifests::Store& store)
      : params_(params),
        progress_(progress),
        stop_(std::move(stop)),
        source_(std::move(source)),
        store_(store, params.tenant, params.verify_existing) {}

  Result<PackReport> run() {
    store_.remove_abandoned();
    if (Status chosen = choose(); !chosen.ok()) return chosen.error();
    if (Status encoded = encode(); !encoded.ok()) return encoded.error();
    if (Status written = write_manifest(); !written.ok()) return written.error();
    if (Status written = write_prefix_entries(); !written.ok()) return written.error();
    summarise();
    return std::move(report_);
  }

 private:
  void advance(PackPhase phase, uint64_t bytes, uint64_t total) {
    if (phase != phase_) done_ = 0;
    phase_ = phase;
    done_ += bytes;
    if (progress_) progress_({phase, done_, total});
  }

  Status choose() {
    const uint64_t tokens = std::min<uint64_t>(params_.chunk_tokens, source_.tokens());
    const uint64_t total = tokens * source_.geometry().bytes_per_token(source_.dtype());
    auto choice = choose_profile(
        params_, source_, [&](uint64_t bytes) { advance(PackPhase::kMeasuring, bytes, total); },
        stop_);
    if (!choice.ok()) return choice.error();
    choice_ = std::move(*choice);
    const uint32_t levels = choice_.profile->levels;
    if (params_.floor_level && *params_.floor_level >= levels) {
      return usage(fmt::format("floor level {}: there are levels 0 to {}", *params_.floor_level,
                               levels - 1));
    }
    return {};
  }

  uint32_t worker_count() const {
    const uint64_t chunk_bytes =
        params_.chunk_tokens * source_.geometry().bytes_per_token(source_.dtype());
    const uint64_t memory = params_.memory_bytes
                                ? params_.memory_bytes
                                : std::max(kLeastMemoryBytes, chunk_bytes + chunk_bytes / 4);
    const uint32_t threads =
        params_.threads ? params_.threads : std::max(1u, std::thread::hardware_concurrency());
    return workers_within(memory, std::min(threads, kMaxThreads), source_, *choice_.profile,
                          params_.chunk_tokens);
  }

  Status encode() {
    auto profile = store_.publish(choice_.object);
    if (!profile.ok()) return profile.error();
    hashes_ = manifests::prefix_hashes(
        {params_.salt, source_.info().model.weights, source_.info().model.adapter, {}},
        source_.info().token_ids);
    auto chunks = plan_chunks(source_.tokens(), params_.chunk_tokens, hashes_);
    const kernels::Codec codec(*choice_.profile);
    ChunkEncoder encoder(store_, source_, codec, profile->digest, params_.exact, chunks);
    report_.threads = worker_count();
    report_.raw_bytes = source_.tokens() * source_.geometry().bytes_per_token(source_.dtype());
    Status run = encoder.run(
        report_.threads,
        [&](uint64_t bytes) { advance(PackPhase::kEncoding, bytes, report_.raw_bytes); }, stop_);
    if (!run.ok()) return run;
    report_.non_finite_elements = encoder.non_finite().elements;
    report_.first_non_finite = encoder.non_finite().first;
    report_.manifest = describe_presentation(params_, source_, choice_.profile->levels, *profile,
                                             std::move(chunks));
    return add_text();
  }

  Status add_text() {
    const manifests::KvFileInfo& info = source_.info();
    if (!params_.include_text || info.token_ids.empty()) return {};
    manifests::Text text;
    if (info.token_ids.size() <= manifests::kInlineTextTokens) {
      text.tokens = info.token_ids;
      text.utf8 = info.text;
    } else {
      auto object = store_.publish(manifests::write_text_object({info.token_ids, info.text}));
      if (!object.ok()) return object.error();
      text.object = *object;
      report_.text_object_bytes = object->bytes;
    }
    report_.manifest.text = std::move(text);
    return {};
  }

  Status write_manifest() {
    Manifest& manifest = report_.manifest;
    manifest.id = presentation_id(manifest);
    manifest.created = params_.created;
    if (manifest.created.empty()) {
      auto created = time_of_creation();
      if (!created.ok()) return created.error();
      manifest.created = std::move(*created);
    }
    const std::string text = manifests::write_manifest(manifest);
    // What parameters put into it (URLs, times) is judged by the reader, before anything is
    // published.
    if (auto read = manifests::read_manifest(text, "the manifest to be written"); !read.ok()) {
      return usage(read.error().message);
    }
    if (Status synced = store_.store().sync(); !synced.ok()) return synced;
    if (stop_.stop_requested()) return Error{ErrorKind::kIo, "stopped: nothing was published"};
    const std::string path = manifests::manifest_path(params_.tenant, manifest.id);
    report_.manifest_path = params_.out + "/" + path;
    if (!adopt_existing(path)) {
      if (Status put = put_manifest(path, text); !put.ok()) return put;
      report_.manifest_written = true;
    }
    return store_.store().sync();
  }

  Status put_manifest(const std::string& path, const std::string& text) {
    auto file = store_.stage();
    if (!file.ok()) return file.error();
    Status written = file->write(0, std::as_bytes(std::span(text)));
    if (!written.ok()) return written;
    std::vector<manifests::Upload> upload;
    upload.push_back({path, std::move(*file), text.size(), false});
    return store_.store().put(std::move(upload));
  }

  // A manifest that differs in `created` at most stays as it is, so that repeating a run changes
  // nothing.
  bool adopt_existing(const std::string& path) {
    const auto text = manifests::read_text(store_.store(), path, manifests::kMaxManifestBytes);
    if (!text.ok() || !*text) return false;
    auto existing = manifests::read_manifest(**text, report_.manifest_path);
    if (!existing.ok()) return false;
    Manifest renewed = report_.manifest;
    renewed.created = existing->created;
    if (manifests::write_manifest(renewed) != **text) return false;
    report_.manifest.created = existing->created;
    return true;
  }

  Status write_prefix_entries() {
    uint64_t reported = 0;
    auto count = publish_prefix_entries(
        params_.tenant, report_.manifest, hashes_, store_, [&](uint64_t done) {
          advance(PackPhase::kPublishing, done - reported, hashes_.size());
          reported = done;
        });
    if (!count.ok()) return count.error();
    report_.prefix_entries_written = count->written;
    report_.prefix_entries_reused = count->reused;
    return {};
  }

  void summarise() {
    const Manifest& manifest = report_.manifest;
    report_.profile_bytes = manifest.profile.bytes;
    report_.objects_written = store_.written();
    report_.objects_reused = store_.reused();
    report_.bytes_by_level.assign(manifest.levels, 0);
    report_.distortion_by_level.assign(manifest.levels, 0);
    for (const manifests::ChunkEntry& chunk : manifest.chunks) {
      const double share = static_cast<double>(chunk.token_end - chunk.token_begin) /
                           static_cast<double>(manifest.tokens);
      uint64_t bytes = 0;
      for (uint32_t level = 0; level < manifest.levels; ++level) {
        bytes += chunk.planes[level].bytes;
        report_.bytes_by_level[level] += bytes;
        report_.distortion_by_level[level] += share * chunk.planes[level].distortion;
      }
      if (chunk.exact) report_.exact_bytes += chunk.exact->bytes;
    }
  }

  const PackParams& params_;
  const PackProgressCallback& progress_;
  const std::stop_token stop_;
  const KvSource source_;
  ObjectStore store_;
  ProfileChoice choice_;
  std::vector<Digest> hashes_;
  PackPhase phase_ = PackPhase::kMeasuring;
  uint64_t done_ = 0;
  PackReport report_;
};

}  // namespace

Result<PackReport> pack(const PackParams& params, const PackProgressCallback& progress,
                        std::stop_token stop) {
  if (Status checked = check_params(params); !checked.ok()) return checked.error();
  auto store = manifests::open_store(params.out, params.store);
  if (!store.ok()) return store.error();
  return pack(params, **store, progress, std::move(stop));
}

Result<PackReport> pack(const PackParams& params, manifests::Store& store,
                        const PackProgressCallback& progress, std::stop_token stop) {
  if (Status checked = check_params(params); !checked.ok()) return checked.error();
  auto source = KvSource::open(params.input);
  if (!source.ok()) return source.error();
  if (Status checked = check_size(params, *source); !checked.ok()) return checked.error();
  return Packaging(params, progress, std::move(stop), std::move(*source), store).run();
}

}  // namespace kvcast::packager
