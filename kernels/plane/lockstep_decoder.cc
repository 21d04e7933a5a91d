#include "kernels/plane/lockstep_decoder.h"

#include <algorithm>
#include <array>

#include "kernels/plane/fused_groups.h"
#include "kernels/plane/integer_groups.h"
#include "kernels/plane/section_decoding.h"

namespace kvcast::kernels {
namespace {

class LockstepDecoder {
 public:
  LockstepDecoder(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                  std::span<uint16_t> coefficients)
      : section_(codec, shape, planes, coefficients),
        walks_(planes),
        fused_(section_),
        integers_(section_) {}

  Check decode() {
    if (Check check = section_.values.open(); !check) return check;
    if (Check check = walks_.open(); !check) return check;
    for (const uint32_t g : walks_.empty_groups()) clear(g);
    for (;;) {
      std::array<Walk*, kMaxDecodeStreams> walks;
      const Batch batch = std::span(walks).first(choose(walks));
      if (batch.empty()) return {};
      if (Check check = decode_batch(batch); !check) return check;
      for (Walk* const walk : batch) {
        if (Check check = walk->advance(); !check) return check;
      }
    }
  }

 private:
  bool narrow(const Walk& walk) const { return section_.shape.lanes(walk.group()) < kLanes; }

  void clear(uint32_t g) {
    for (uint32_t t = 0; t < section_.steps(); ++t)
      std::fill_n(section_.coefficients_of(g) + t * section_.row(), section_.shape.lanes(g),
                  uint16_t{0});
  }

  // Of batches as even as they can be: what is left over would be alone.
  size_t batch_size() {
    const size_t most =
        section_.values.form() == ValueForm::kFused ? kMaxFusedGroups : kMaxDecodeStreams;
    const auto& walks = walks_.walks();
    const auto left = static_cast<size_t>(std::count_if(
        walks.begin(), walks.end(), [](const Walk& walk) { return walk.groups_left() > 0; }));
    const size_t batches = std::max<size_t>(1, (left + most - 1) / most);
    return std::max<size_t>(1, (left + batches - 1) / batches);
  }

  // The walks with the most groups left, so that none is left alone early; a narrow group is alone.
  size_t choose(std::span<Walk*, kMaxDecodeStreams> chosen) {
    const size_t most = batch_size();
    size_t count = 0;
    for (Walk& walk : walks_.walks()) {
      if (walk.groups_left() == 0) continue;
      if (narrow(walk)) {
        chosen[0] = &walk;
        return 1;
      }
      size_t at = count < most ? count++ : most;
      for (; at > 0 && walk.groups_left() > chosen[at - 1]->groups_left(); --at) {
        if (at < most) chosen[at] = chosen[at - 1];
      }
      if (at < most) chosen[at] = &walk;
    }
    return count;
  }

  // Where words run out, the walks' advance says so.
  Check decode_batch(Batch batch) {
    switch (section_.values.form()) {
      case ValueForm::kCoefficients:
        return decode_lone_bases(batch);
      case ValueForm::kFused:
        return fused_.decode(batch);
      case ValueForm::kIntegers:
        return integers_.decode(batch);
    }
    return {};
  }

  Check decode_lone_bases(Batch batch) {
    std::array<SymbolJob, kMaxDecodeStreams> jobs;
    for (size_t i = 0; i < batch.size(); ++i)
      jobs[i] = section_.base_job(*batch[i], section_.coefficients_of(batch[i]->group()));
    (void)section_.rans().decode_symbols(jobs.data(), static_cast<uint32_t>(batch.size()),
                                         section_.steps(), section_.row());
    return section_.check_escapes(batch);
  }

  SectionDecoding section_;
  SectionWalks walks_;
  FusedGroups fused_;
  IntegerGroups integers_;
};

}  // namespace

Check decode_in_lockstep(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                         std::span<uint16_t> coefficients) {
  return LockstepDecoder(codec, shape, planes, coefficients).decode();
}

}  // namespace kvcast::kernels
