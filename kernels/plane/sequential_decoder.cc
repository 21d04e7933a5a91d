#include "kernels/plane/sequential_decoder.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/plane/group_decoder.h"
#include "kernels/plane/tables.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kRunTokens = 256;  // decoded at a time: its values stay in the nearest cache

// A pass and the plane it is in, for messages.
struct PlanePass {
  size_t plane;
  PassDecoder decoder;
};

struct SectionDecoder {
  const Codec& codec;
  const SectionShape& shape;
  const BaseView& base_view;
  BaseDecoder base;
  std::vector<PlanePass> passes;
  uint32_t dropped_bits;  // of the level decoded
  std::vector<int32_t> values;
  std::vector<uint16_t> run;

  Reconstruction reconstruction(uint32_t g) const {
    const ScaleClass& scale_class = codec.profile().classes[base_view.scale_class[g]];
    return {shape.codec->step, shape.codec->rounding, dropped_bits,
            scale_class.reconstruction[passes.size()]};
  }

  bool all_empty(uint32_t g) const {
    return base_view.table.empty[g] &&
           std::all_of(passes.begin(), passes.end(),
                       [&](const PlanePass& pass) { return pass.decoder.empty(g); });
  }

  void clear(uint32_t g, std::span<uint16_t> to) const {
    for (uint32_t t = 0; t < shape.coded_tokens; ++t)
      std::fill_n(to.data() + index(g, t), shape.lanes(g), uint16_t{0});
  }

  Check begin_group(uint32_t g) {
    if (!base_view.table.empty[g]) {
      if (Check check = base.next_group(); !check) return in_plane(0, check.fault());
    }
    for (PlanePass& pass : passes) {
      if (pass.decoder.empty(g)) continue;
      if (Check check = pass.decoder.next_group(); !check)
        return in_plane(pass.plane, check.fault());
    }
    return {};
  }

  // The next values.size() / lanes tokens of the group.
  Check decode_run(uint32_t g) {
    const ClassTables& tables = codec.tables().classes[base_view.scale_class[g]];
    std::fill(values.begin(), values.end(), 0);
    if (!base_view.table.empty[g]) {
      if (Check check = base.decode(tables, shape.lanes(g), values); !check)
        return in_plane(0, check.fault());
    }
    for (size_t p = 0; p < passes.size(); ++p) {
      PassDecoder& pass = passes[p].decoder;
      if (pass.empty(g)) {
        for (int32_t& value : values) value = refine(value, 0);
      } else if (Check check = pass.refine_values(tables.passes[p], shape.lanes(g), values);
                 !check) {
        return in_plane(passes[p].plane, check.fault());
      }
    }
    return {};
  }

  // to: [coded token][coefficient].
  Check decode_group(uint32_t g, std::span<uint16_t> to) {
    if (passes.empty()) return decode_lone_base(g, to);
    const uint32_t lanes = shape.lanes(g);
    for (uint32_t first = 0; first < shape.coded_tokens; first += kRunTokens) {
      const uint32_t count = std::min(kRunTokens, shape.coded_tokens - first);
      values.resize(size_t{count} * lanes);
      run.resize(values.size());
      if (Check check = decode_run(g); !check) return check;
      reconstruct(reconstruction(g), values, run);
      for (uint32_t t = 0; t < count; ++t)
        std::copy_n(run.data() + size_t{t} * lanes, lanes, to.data() + index(g, first + t));
    }
    return {};
  }

  // A value's coefficient is a constant of the class.
  Check decode_lone_base(uint32_t g, std::span<uint16_t> to) {
    const ClassTables& tables = codec.tables().classes[base_view.scale_class[g]];
    values.resize(tables.base.alphabet());
    run.resize(values.size());
    std::iota(values.begin(), values.end(), -tables.largest());
    reconstruct(reconstruction(g), values, run);
    for (uint32_t first = 0; first < shape.coded_tokens; first += kRunTokens) {
      const uint32_t count = std::min(kRunTokens, shape.coded_tokens - first);
      if (Check check = base.decode(tables, shape.lanes(g), reconstruction(g), run, count,
                                    to.data() + index(g, first), shape.coefficients);
          !check) {
        return in_plane(0, check.fault());
      }
    }
    return {};
  }

  size_t index(uint32_t g, uint32_t token) const {
    return size_t{token} * shape.coefficients + size_t{g} * kLanes;
  }

  Check finish() const {
    if (Check check = base.finish(); !check) return in_plane(0, check.fault());
    for (const PlanePass& pass : passes) {
      if (Check check = pass.decoder.finish(); !check) return in_plane(pass.plane, check.fault());
    }
    return {};
  }
};

}  // namespace

Check decode_sequentially(const Codec& codec, const SectionShape& shape,
                          const SectionPlanes& planes, std::span<uint16_t> coefficients) {
  SectionDecoder decoder{codec,       shape,
                         planes.base, BaseDecoder(planes.base, planes.largest_escape),
                         {},          planes.dropped_bits,
                         {},          {}};
  for (const PassView& pass : planes.passes)
    decoder.passes.push_back({pass.plane, PassDecoder(pass.table)});
  for (const uint32_t g : planes.base.coding_order) {
    if (decoder.all_empty(g)) {
      decoder.clear(g, coefficients);
      continue;
    }
    if (Check check = decoder.begin_group(g); !check) return check;
    if (Check check = decoder.decode_group(g, coefficients); !check) return check;
  }
  return decoder.finish();
}

}  // namespace kvcast::kernels
