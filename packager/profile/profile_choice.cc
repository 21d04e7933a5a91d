#include "packager/profile/profile_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/first_chunk.h"
#include "manifests/file.h"
#include "packager/encode/section_job.h"
#include "packager/profile_object.h"
#include "packager/source/finite.h"

namespace kvcast::packager {
namespace {

using kernels::Profile;
using kernels::Rope;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

std::string describe(const kernels::Geometry& geometry) {
  return fmt::format("{} layers, keys {}x{}, values {}x{}", geometry.layers, geometry.key_heads,
                     geometry.key_dim, geometry.value_heads, geometry.value_dim);
}

bool is_same_rotation(const Rope& a, const Rope& b) {
  const auto close = [](double x, double y) { return std::abs(x - y) <= 1e-6 * std::abs(x); };
  return a.layout == b.layout && a.first_dim == b.first_dim &&
         close(a.attention_scaling, b.attention_scaling) &&
         std::equal(a.inv_freq.begin(), a.inv_freq.end(), b.inv_freq.begin(), b.inv_freq.end(),
                    close);
}

Status check_fit(const Profile& profile, const std::string& path, const KvSource& source) {
  if (profile.geometry != source.geometry()) {
    return Error{
        ErrorKind::kCorrupt,
        fmt::format("{}: a profile for {}, but {} has {}; use the profile of this model", path,
                    describe(profile.geometry), source.path(), describe(source.geometry()))};
  }
  for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
    const uint8_t in_profile = profile.layer_rope[layer], in_cache = source.layer_rope()[layer];
    if (in_cache == kernels::kNoRope) continue;  // a profile may decorrelate by any rotation
    if (in_profile != kernels::kNoRope &&
        is_same_rotation(profile.ropes[in_profile], source.ropes()[in_cache])) {
      continue;
    }
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: rotates the keys of layer {} otherwise than {} states in its "
                             "metadata `rope`; use the profile of this model",
                             path, layer, source.path())};
  }
  return {};
}

Result<ProfileChoice> load(const std::string& path, const KvSource& source) {
  auto bytes = manifests::read_file(path, kMaxProfileBytes);
  if (!bytes.ok()) return bytes.error();
  auto profile = read_profile_object(*bytes, path);
  if (!profile.ok()) return profile.error();
  if (Status fit = check_fit(*profile, path, source); !fit.ok()) return fit.error();
  return ProfileChoice{std::make_unique<const Profile>(std::move(*profile)), std::move(*bytes)};
}

// Both sides of all layers of the first chunk, one side after the other.
class FirstChunk {
 public:
  FirstChunk(const KvSource& source, kernels::TokenRange tokens)
      : source_(source),
        tokens_(tokens),
        key_bytes_(source.geometry().layers * source.layer_bytes(Side::kKey, tokens.count)),
        bytes_(tokens.count * source.geometry().bytes_per_token(source.dtype())) {}

  Status read(bool allow_non_finite, const std::function<void(uint64_t)>& on_read,
              std::stop_token stop) {
    for (uint32_t layer = 0; layer < source_.geometry().layers; ++layer) {
      if (stop.stop_requested()) return Error{ErrorKind::kIo, "stopped: nothing was published"};
      for (const Side side : {Side::kKey, Side::kValue}) {
        const uint64_t layer_bytes = source_.layer_bytes(side, tokens_.count);
        const auto to = of(side).subspan(layer * layer_bytes, layer_bytes);
        NonFiniteCount non_finite;
        if (Status read =
                read_layers(source_, layer, 1, side, tokens_, allow_non_finite, to, non_finite);
            !read.ok()) {
          return read;
        }
        if (non_finite.elements > 0) clear_non_finite(source_.dtype(), to);
        on_read(layer_bytes);
      }
    }
    return {};
  }

  std::vector<kernels::TensorView> views(Side side) {
    return layer_views(source_, source_.geometry().layers, side, tokens_, of(side));
  }

 private:
  std::span<std::byte> of(Side side) {
    const std::span<std::byte> all(bytes_);
    return side == Side::kKey ? all.first(key_bytes_) : all.subspan(key_bytes_);
  }

  const KvSource& source_;
  const kernels::TokenRange tokens_;
  const size_t key_bytes_;
  std::vector<std::byte> bytes_;
};

Result<ProfileChoice> measure(const PackParams& params, const KvSource& source,
                              const std::function<void(uint64_t)>& on_read, std::stop_token stop) {
  const kernels::TokenRange tokens{
      0, static_cast<uint32_t>(std::min<uint64_t>(params.chunk_tokens, source.tokens()))};
  FirstChunk chunk(source, tokens);
  if (Status read = chunk.read(params.exact, on_read, stop); !read.ok()) return read.error();
  kernels::FirstChunkParams measured;
  measured.levels = params.levels;
  measured.step = params.step;
  measured.rounding = params.rounding;
  auto profile = kernels::measure_first_chunk(
      source.geometry(), source.ropes(), source.layer_rope(), tokens, source.dtype(),
      chunk.views(Side::kKey), chunk.views(Side::kValue), measured);
  if (!profile.ok()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: no profile can be measured on its first {} tokens: {}",
                             source.path(), tokens.count, profile.fault().what)};
  }
  std::vector<std::byte> object = write_profile_object(*profile);
  return ProfileChoice{std::make_unique<const Profile>(std::move(*profile)), std::move(object)};
}

}  // namespace

Result<ProfileChoice> choose_profile(const PackParams& params, const KvSource& source,
                                     const std::function<void(uint64_t)>& on_read,
                                     std::stop_token stop) {
  if (!params.profile.empty()) return load(params.profile, source);
  return measure(params, source, on_read, std::move(stop));
}

}  // namespace kvcast::packager
