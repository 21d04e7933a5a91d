#include "player/session/speed_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/implementation.h"
#include "player/device_sink.h"

namespace kvcast::player {
namespace {

std::string machine_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "unnamed";
  return name;
}

// What a profile's transform costs grows with the widest block.
uint32_t widest_block(const kernels::Profile& profile) {
  uint32_t widest = 0;
  for (const kernels::SectionCodec& section : profile.sections) {
    for (const kernels::TransformBlock& block : section.blocks) {
      widest = std::max(widest, block.width);
    }
  }
  return widest;
}

}  // namespace

SpeedMemory::SpeedMemory(PlayHistory* history, int64_t wall_clock_s,
                         const Presentation& presentation, const PlayParams& params, KvSink& sink)
    : history_(history), wall_clock_s_(wall_clock_s) {
  if (history_ == nullptr) return;
  const std::string machine = machine_name();
  const DeviceKvSink* device = sink.device();
  decoder_ = fmt::format("{} {}", machine,
                         device != nullptr
                             ? device->room().device().info().name
                             : kernels::implementation_name(kernels::default_implementation()));
  const manifests::ModelIdentity& model = presentation.manifest.model;
  recompute_kind_ = fmt::format("{} {} {}", machine, params.engine.runs_on, model.weights);
}

std::optional<Spread> SpeedMemory::decoding(const kernels::Profile* profile) {
  if (history_ == nullptr) return std::nullopt;
  decode_kind_ = profile == nullptr
                     ? fmt::format("{} exact", decoder_)
                     : fmt::format("{} transform {} wide", decoder_, widest_block(*profile));
  return history_->find_decode(decode_kind_, wall_clock_s_);
}

std::optional<RecomputeCost> SpeedMemory::recomputing() const {
  return history_ == nullptr ? std::nullopt : history_->find_recompute(recompute_kind_);
}

void SpeedMemory::learn(const Spread& seconds_per_million,
                        const std::optional<RecomputeCost>& recompute) {
  if (history_ == nullptr) return;
  history_->learn_decode(decode_kind_, seconds_per_million, wall_clock_s_);
  if (recompute) history_->learn_recompute(recompute_kind_, *recompute, wall_clock_s_);
}

}  // namespace kvcast::player
