#include "packager/calibrate/cache_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "packager/encode/section_job.h"

namespace kvcast::packager {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint32_t kPieceTokens = 512;

Result<CacheSet> CacheSet::open(const std::vector<std::string>& paths) {
  if (paths.empty()) return Error{ErrorKind::kUsage, "no KV cache to calibrate on"};
  CacheSet set;
  for (const std::string& path : paths) {
    auto source = KvSource::open(path);
    if (!source.ok()) return source.error();
    if (!set.sources_.empty() &&
        (source->geometry() != set.geometry() || source->ropes() != set.ropes() ||
         source->layer_rope() != set.layer_rope() ||
         source->info().model.weights != set.sources_.front().info().model.weights)) {
      return Error{ErrorKind::kCorrupt,
                   fmt::format("{} and {} are caches of different models; calibrate each model by "
                               "itself",
                               paths.front(), path)};
    }
    set.sources_.push_back(std::move(*source));
  }
  return set;
}

uint64_t CacheSet::tokens() const {
  return coded_tokens(0);
}

uint64_t CacheSet::coded_tokens(uint32_t sink_tokens) const {
  uint64_t tokens = 0;
  for (const KvSource& source : sources_) {
    tokens += source.tokens() - std::min<uint64_t>(source.tokens(), sink_tokens);
  }
  return tokens;
}

Status CacheSet::for_each_piece(const kernels::LayerGroup& group, kernels::Side side,
                                std::stop_token stop, const Use& use) const {
  std::vector<std::byte> bytes;
  for (const KvSource& source : sources_) {
    for (uint64_t begin = 0; begin < source.tokens(); begin += kPieceTokens) {
      if (stop.stop_requested()) return Error{ErrorKind::kIo, "stopped: nothing was written"};
      const kernels::TokenRange tokens{
          begin, static_cast<uint32_t>(std::min<uint64_t>(kPieceTokens, source.tokens() - begin))};
      bytes.resize(group.layers * source.layer_bytes(side, tokens.count));
      NonFiniteCount non_finite;
      if (Status read = read_layers(source, group.first_layer, group.layers, side, tokens,
                                    /*allow=*/false, bytes, non_finite);
          !read.ok()) {
        return read;
      }
      const auto views = layer_views(source, group.layers, side, tokens, bytes);
      if (const kernels::Check used = use({tokens, source.dtype(), views}); !used) {
        return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", source.path(), used.fault().what)};
      }
    }
  }
  return {};
}

}  // namespace kvcast::packager
