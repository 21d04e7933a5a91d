#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/plane.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/group_decoder.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

using Planes = std::span<const std::span<const std::byte>>;

constexpr uint32_t kRunTokens = 256;  // decoded at a time: its values stay in the nearest cache

Fault in_plane(size_t plane, const Fault& fault) {
  return {"plane " + std::to_string(plane) + ": " + fault.what, fault.offset};
}

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

  bool all_empty(uint32_t g) const {
    return base_view.table.empty[g] &&
           std::all_of(passes.begin(), passes.end(),
                       [&](const PlanePass& pass) { return pass.decoder.empty(g); });
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

  // to: [coded token][coefficient], zeros.
  Check decode_group(uint32_t g, std::span<uint16_t> to) {
    const uint32_t lanes = shape.lanes(g);
    const ScaleClass& scale_class = codec.profile().classes[base_view.scale_class[g]];
    const Reconstruction reconstruction{shape.codec->step, shape.codec->rounding, dropped_bits,
                                        scale_class.reconstruction[passes.size()]};
    for (uint32_t first = 0; first < shape.coded_tokens; first += kRunTokens) {
      const uint32_t count = std::min(kRunTokens, shape.coded_tokens - first);
      values.resize(size_t{count} * lanes);
      run.resize(values.size());
      if (Check check = decode_run(g); !check) return check;
      reconstruct(reconstruction, values, run);
      for (uint32_t t = 0; t < count; ++t) {
        std::copy_n(run.data() + size_t{t} * lanes, lanes,
                    to.data() + size_t{first + t} * shape.coefficients + size_t{g} * kLanes);
      }
    }
    return {};
  }

  Check finish() const {
    if (Check check = base.finish(); !check) return in_plane(0, check.fault());
    for (const PlanePass& pass : passes) {
      if (Check check = pass.decoder.finish(); !check) return in_plane(pass.plane, check.fault());
    }
    return {};
  }
};

// The passes of planes 1 .. planes.size() - 1: [plane - 1].
Checked<std::vector<std::vector<StreamTable>>> read_refinements(const SectionShape& shape,
                                                                const BaseView& base,
                                                                Planes planes) {
  std::vector<std::vector<StreamTable>> refinements;
  const std::vector<uint8_t>& ladder = shape.codec->drop_bits;
  for (size_t plane = 1; plane < planes.size(); ++plane) {
    const uint32_t passes = ladder[plane - 1] - ladder[plane];
    auto tables = read_refinement(shape, base.coding_order, passes, planes[plane]);
    if (!tables) return in_plane(plane, tables.fault());
    refinements.push_back(std::move(*tables));
  }
  return refinements;
}

Checked<std::vector<uint16_t>> decode_values(const Codec& codec, const SectionShape& shape,
                                             Planes planes) {
  const std::vector<uint8_t>& ladder = shape.codec->drop_bits;
  if (planes.empty() || planes.size() > ladder.size()) {
    return Fault{std::to_string(planes.size()) + " planes, expected 1 to " +
                 std::to_string(ladder.size())};
  }
  const auto base = read_base(shape, codec.tables().classes.size(), planes[0]);
  if (!base) return in_plane(0, base.fault());
  const auto refinements = read_refinements(shape, *base, planes);
  if (!refinements) return refinements.fault();

  SectionDecoder decoder{codec, shape,
                         *base, BaseDecoder(*base, kMaxMagnitude >> ladder[0]),
                         {},    ladder[planes.size() - 1],
                         {},    {}};
  for (size_t plane = 1; plane < planes.size(); ++plane) {
    for (const StreamTable& table : (*refinements)[plane - 1])
      decoder.passes.push_back({plane, PassDecoder(table)});
  }
  std::vector<uint16_t> coefficients(size_t{shape.coded_tokens} * shape.coefficients);
  for (const uint32_t g : base->coding_order) {
    if (decoder.all_empty(g)) continue;
    if (Check check = decoder.begin_group(g); !check) return check.fault();
    if (Check check = decoder.decode_group(g, coefficients); !check) return check.fault();
  }
  if (Check check = decoder.finish(); !check) return check.fault();
  return coefficients;
}

}  // namespace

Checked<std::vector<uint16_t>> decode_coefficients(const Codec& codec, uint32_t group, Side side,
                                                   TokenRange tokens, Planes planes) {
  const auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (!shape) return shape.fault();
  return decode_values(codec, *shape, planes);
}

Check decode_section(const Codec& codec, uint32_t group, Side side, TokenRange tokens, DType dtype,
                     Planes planes, std::span<const std::byte> sinks,
                     std::span<const MutableTensorView> layers) {
  const auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (!shape) return shape.fault();
  if (shape->layers.layers != layers.size())
    throw std::invalid_argument("not one view for each layer");
  const size_t row_bytes = shape->channels * dtype_bytes(dtype);
  const size_t sink_bytes = row_bytes * shape->sinks * layers.size();
  if (sinks.size() != sink_bytes) {
    return Fault{"sink section of " + std::to_string(sinks.size()) + " bytes, expected " +
                 std::to_string(sink_bytes)};
  }
  const auto coefficients = decode_values(codec, *shape, planes);
  if (!coefficients) return coefficients.fault();
  store_coefficients(*shape, *coefficients, dtype, layers);
  for (const MutableTensorView& layer : layers) {
    for (uint32_t token = 0; token < shape->sinks && row_bytes > 0; ++token) {
      std::memcpy(layer.data + token * layer.token_stride_bytes, sinks.data(), row_bytes);
      sinks = sinks.subspan(row_bytes);
    }
  }
  return {};
}

}  // namespace kvcast::kernels
