#include "player/session/presentation.h"

#include <fmt/format.h>

#include <algorithm>

#include "player/lookup.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr std::chrono::milliseconds kPollWait{20};

std::string shape_text(const kernels::Geometry& g) {
  return fmt::format("{} layers, keys {} x {}, values {} x {}", g.layers, g.key_heads, g.key_dim,
                     g.value_heads, g.value_dim);
}

Error refused(const std::string& url, const std::string& what, const std::string& has,
              const std::string& wants) {
  return Error{ErrorKind::kCorrupt,
               fmt::format("{}: this cache is for {} \"{}\", the engine has \"{}\": play a "
                           "presentation packed from this model",
                           url, what, has, wants)};
}

Result<manifests::Manifest> fetch_manifest(Link& link, const std::string& url,
                                           std::stop_token stop) {
  DownloadRequest request;
  request.name = "manifest";
  request.type = CmcdRequest::Type::kManifest;
  request.url = url;
  request.priority = Priority::kUrgent;
  link.start({Want::Kind::kManifest}, std::move(request));
  while (!stop.stop_requested()) {
    for (const Link::Outcome& outcome : link.poll(kPollWait)) {
      if (outcome.error) return *outcome.error;
      const auto* text = reinterpret_cast<const char*>(outcome.bytes.data());
      return manifests::read_manifest({text, outcome.bytes.size()}, url);
    }
  }
  link.cancel_all();
  return cancelled();
}

// Whatever a prefix entry says: chunks of other tokens are not played.
manifests::Status check_prefix(const manifests::Manifest& manifest, const std::string& url,
                               uint64_t tokens, const Source& source) {
  const auto hashes = manifests::prefix_hashes(source.seed, std::span(source.tokens).first(tokens));
  const auto other = [&](const std::string& what) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: a prefix entry of the store says that it holds these {} tokens, "
                             "but {}: publish the presentation again",
                             url, tokens, what)};
  };
  if (tokens > manifest.tokens) return other(fmt::format("it has {}", manifest.tokens));
  for (size_t i = 0; i < manifest.chunks.size() && manifest.chunks[i].token_end <= tokens; ++i) {
    const uint64_t blocks = manifest.chunks[i].token_end / manifests::kPrefixBlockTokens;
    if (blocks > 0 && manifest.chunks[i].prefix_hash != hashes[blocks - 1]) {
      return other(fmt::format("chunk {} has another prefix hash", i));
    }
  }
  return {};
}

}  // namespace

Error cancelled() {
  return {ErrorKind::kUsage, "the play was cancelled"};
}

Result<Presentation> check_presentation(manifests::Manifest manifest, const std::string& url,
                                        std::optional<uint64_t> token_limit,
                                        const PlayParams& params) {
  const manifests::ModelIdentity& model = manifest.model;
  const kernels::Geometry geometry{model.layers, model.key_heads, model.key_dim, model.value_heads,
                                   model.value_dim};
  const EngineIdentity& engine = params.engine;
  if (!engine.weights.empty() && engine.weights != model.weights) {
    return refused(url, "weights", model.weights, engine.weights);
  }
  if (!engine.weights.empty() && engine.adapter != model.adapter) {
    return refused(url, "adapter", model.adapter, engine.adapter);
  }
  if (engine.geometry && *engine.geometry != geometry) {
    return refused(url, "the shape", shape_text(geometry), shape_text(*engine.geometry));
  }
  const std::optional<kernels::DType> dtype = kernels::dtype_from_name(model.dtype);
  if (!dtype) {
    return Error{
        ErrorKind::kCorrupt,
        fmt::format("{}: element type \"{}\" is unknown; use a newer kvcast", url, model.dtype)};
  }
  if (!params.exact && params.min_level >= manifest.levels) {
    return Error{ErrorKind::kUsage, fmt::format("{}: min_level {} asks for more than its {} levels",
                                                url, params.min_level, manifest.levels)};
  }
  Presentation presentation{std::move(manifest), url, geometry, *dtype};
  for (const manifests::ChunkEntry& chunk : presentation.manifest.chunks) {
    if (token_limit && chunk.token_end > *token_limit) break;
    if (params.exact && !chunk.exact) {
      return Error{ErrorKind::kUsage, fmt::format("{}: it was packed without exact objects: pack "
                                                  "it with --exact, or play levels",
                                                  url)};
    }
    presentation.tokens = chunk.token_end;
    ++presentation.chunks;
  }
  return presentation;
}

Result<std::optional<Presentation>> open_presentation(Downloader& downloader, Link& link,
                                                      const Journal& journal, const Source& source,
                                                      const PlayParams& params,
                                                      std::stop_token stop) {
  std::string url = source.manifest_url;
  std::optional<uint64_t> limit = params.token_limit, found_tokens;
  if (url.empty()) {
    LookupParams lookup{source.store_url, source.tenant, source.seed};
    auto found = find_longest_prefix(downloader, lookup, source.tokens, stop);
    if (!found) return found.error();
    if (!found->stored) {
      journal.note("lookup", {}, {}, "the store holds nothing of these tokens, " + found->how);
      return std::optional<Presentation>();
    }
    url = found->stored->manifest_url;
    found_tokens = found->stored->entry.tokens;
    limit = std::min(limit.value_or(source.tokens.size()), *found_tokens);
    journal.note("lookup", {}, {}, "found " + url + ", " + found->how,
                 {{"tokens", static_cast<double>(*found_tokens)}});
  }
  auto manifest = fetch_manifest(link, url, stop);
  if (!manifest) return manifest.error();
  if (found_tokens) {
    auto ours = check_prefix(*manifest, url, *found_tokens, source);
    if (!ours) return ours.error();
  }
  auto presentation = check_presentation(std::move(*manifest), url, limit, params);
  if (!presentation) return presentation.error();
  if (presentation->chunks == 0) {
    journal.note("lookup", {}, {}, "no whole chunk lies inside the prefix",
                 {{"tokens", static_cast<double>(limit.value_or(0))}});
    return std::optional<Presentation>();
  }
  if (auto bases = downloader.set_bases(url, presentation->manifest.base_urls); !bases) {
    return bases.error();
  }
  return std::optional(std::move(*presentation));
}

}  // namespace kvcast::player
