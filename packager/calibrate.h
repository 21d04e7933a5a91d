// A profile from KV caches of one model: what they have in common, so that all contexts share it.
//
// Keys lose their RoPE, sinks are left out, each channel its mean. Channels are divided by a scale,
// one for each (layer, K|V): its RMS over the square root of its sensitivity, so that equal errors
// cost equal KL, whatever the layer. Then an orthonormal KLT (eigenvectors of the covariance) over
// a head, a layer, or several layers together, which then also become ready together. One step for
// all; every level drops one bit less than the level below. Components that never carry bits are
// left out of the basis. Coefficients are coded in the order of their variance, so that 32
// neighbours are alike; classes are trained on their symbols.
//
// Streamed twice over the input: memory is a covariance (8 bytes * width^2), and 512 tokens of one
// transform group. Deterministic. Stateless; any number of threads.
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

enum class TransformScope { kChannel, kHead, kGroup };  // kChannel: no transform

struct CalibrateParams {
  std::vector<std::string> inputs;  // KV caches of one model, as of `pack`; read in this order
  TransformScope scope = TransformScope::kHead;
  uint32_t group_layers = 1;  // layers of a transform group; 0: all. The last may have fewer
  uint32_t levels = 4;
  float step = 0.35f;  // of the finest level, in normalised units
  float rounding = 0.35f;
  uint32_t sink_tokens = 4;
  // [2 * layer + side]: KL that a squared relative quantiser step of that layer's K or V costs, in
  // any one unit. Empty: all alike.
  std::vector<double> sensitivity;
  // Components of which no more than this share of elements is ever quantised to other than 0 are
  // left out, from the least of each block upwards.
  double least_activity = 0;
  // Basis bytes to keep within, by leaving out the components of least variance. 0: no limit.
  uint64_t max_basis_bytes = 0;
  uint32_t max_fitted_classes = 32;
};

struct CalibratedSection {
  uint32_t group = 0;
  kernels::Side side = kernels::Side::kKey;
  uint32_t width = 0, coefficients = 0;
  // In dB: channel variances' arithmetic mean over the coefficients' geometric mean (those whose
  // variance exceeds the step's noise, step^2 / 12; the others count as that), normalised units.
  double coding_gain_db = 0;
  double bits_per_element = 0;   // of the finest level, by the trained tables, on these caches
  std::vector<double> variance;  // of each coefficient, in coded order
};

struct CalibrateReport {
  kernels::Profile profile;
  uint64_t tokens = 0;  // of all inputs, less sinks
  uint64_t basis_bytes = 0;
  std::vector<CalibratedSection> sections;
};

// From 0 to 1, monotonic.
using CalibrateProgress = std::function<void(double done)>;

// Errors name the file and tensor, or the parameter.
manifests::Result<CalibrateReport> calibrate(const CalibrateParams& params,
                                             const CalibrateProgress& progress = {},
                                             std::stop_token stop = {});

}  // namespace kvcast::packager
