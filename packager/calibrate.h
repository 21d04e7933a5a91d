// A profile from KV caches of one model: what they have in common, so that all contexts share it.
//
// Keys lose their RoPE, sinks are left out, each channel its mean. Channels are divided by a scale,
// one for each (layer, K|V): its RMS over the square root of its sensitivity, so that equal errors
// cost equal KL, whatever the layer. Then an orthonormal KLT (eigenvectors of the covariance) over
// a head, a layer, or several layers together; components too faint to carry bits are left out.
// With error weights the basis of what is left becomes one in which equal errors cost the same in
// every direction, and is no longer orthonormal (calibrate/section_fit.h). One step and one ladder
// for all: scales have made equal steps cost the same everywhere. Coefficients are coded in the
// order of their variance over all heads and layers of a section, so that 32 neighbours are alike;
// classes are trained on their symbols.
//
// Streamed twice over the input: memory is what the profile's bases would take unshortened, in
// fp32, one section's covariance (8 bytes * width^2), and 512 tokens of one section. Deterministic.
// Stateless; any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/result.h"

namespace kvcast::packager {

inline constexpr uint32_t kMaxTransformWidth = 16384;  // its covariance takes 2 GiB
// Where the transform is narrower, layers share a section until it has this many channels a side:
// enough for 32 like coefficients to find each other, and for streams whose states weigh little.
inline constexpr uint32_t kSectionChannels = 1024;

enum class TransformScope { kChannel, kHead, kGroup };  // kChannel: no transform

struct CalibrateParams {
  std::vector<std::string> inputs;  // KV caches of one model, as of `pack`; read in this order
  TransformScope scope = TransformScope::kHead;
  uint32_t group_layers = 1;  // kGroup: layers of one transform; 0: all. The last may have fewer
  // Layers of one section, which become ready together: a multiple of the transform's. 0: as few as
  // have kSectionChannels.
  uint32_t together_layers = 0;
  // Low bits that each level drops: descending, the last 0.
  std::vector<uint8_t> ladder = {3, 2, 1, 0};
  float step = 0.2f;      // of the finest level, in normalised units
  float rounding = 0.5f;  // of the finest level; coarser ones round more to zero
  uint32_t sink_tokens = 4;
  // [2 * layer + side]: KL that a squared relative quantiser step of that layer's K or V costs, in
  // any one unit. Empty: all alike.
  std::vector<double> sensitivity;
  // [2 * layer + side]: what errors cost by direction, [head][dim][dim], symmetric, positive
  // semidefinite; keys without RoPE. A heads' matrices share any one unit, which need not be that
  // of other layers and sides: `sensitivity` says how those compare. E.g. the second moments of
  // gradients with respect to K and V. Empty: errors cost the same in every direction. Needs a
  // transform.
  std::vector<std::vector<float>> error_weights;
  // Files to read error weights from instead: packager/moments_format.md.
  std::vector<std::string> moments;
  // Components whose variance is below this share of a quantiser step's noise, step^2 / 12, are
  // left out. 0: none.
  double least_variance = 0.25;
  // Bytes of the profile to keep within, by leaving out more of the faintest components. 0: no
  // limit. What cannot be left out may take more.
  uint64_t max_profile_bytes = 0;
  uint32_t max_fitted_classes = 32;
};

struct CalibratedSection {
  uint32_t group = 0;
  kernels::Side side = kernels::Side::kKey;
  uint32_t width = 0, coefficients = 0;
  // In dB: channel variances' arithmetic mean over the KLT components' geometric mean (those whose
  // variance exceeds the step's noise, step^2 / 12; the others count as that), normalised units.
  double coding_gain_db = 0;
  // Bits an element that the error weights save at equal cost where every component is coded.
  double weight_gain_bits = 0;
  double bits_per_element = 0;        // of the finest level, by the trained tables, on these caches
  double bound_bits_per_element = 0;  // the same if every coefficient had tables of its own
  // [level] in dB: coefficients' squared error with the middles of cells over that with the trained
  // reconstruction points.
  std::vector<double> reconstruction_gain_db;
  std::vector<double> variance;  // of each coefficient, in coded order
};

struct CalibrateReport {
  kernels::Profile profile;
  uint64_t tokens = 0;  // of all inputs, less sinks
  uint64_t basis_bytes = 0;
  // Bits an element that sensitivities save at equal cost, were every component coded: half the
  // logarithm of their arithmetic over geometric mean, by channels.
  double sensitivity_gain_bits = 0;
  std::vector<CalibratedSection> sections;
};

// From 0 to 1, monotonic.
using CalibrateProgress = std::function<void(double done)>;

// Errors name the file and tensor, or the parameter.
manifests::Result<CalibrateReport> calibrate(const CalibrateParams& params,
                                             const CalibrateProgress& progress = {},
                                             std::stop_token stop = {});

}  // namespace kvcast::packager
