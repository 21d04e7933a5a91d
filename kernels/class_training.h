// Trains the scale classes of a calibrated profile on the symbols that KV caches give with its
// transforms and steps. Deterministic: the same calls in the same order give the same classes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

struct ChannelKernels;   // kernels/plane/channels.h
struct ClassStatistics;  // kernels/statistics/class_statistics.h

struct TrainedClasses {
  std::vector<ScaleClass> classes;  // a family that covers what may come, then the fitted
  // [2 * group + side]: bits that all planes of the added tokens cost, streams' states excluded;
  // and what they would cost if every coefficient had tables of its own.
  std::vector<double> section_bits, section_bound_bits;
  // [2 * group + side][passes done]: squared error of the coefficients with their classes'
  // reconstruction points, and with the middles of cells instead, in squared finest steps.
  std::vector<std::vector<double>> section_error, section_midpoint_error;
};

// Memory: about 600 bytes a coefficient of the profile. One thread at a time.
class ClassTraining {
 public:
  // `profile` must be valid (its classes do not matter) and outlive this.
  explicit ClassTraining(const Profile& profile);
  ~ClassTraining();
  ClassTraining(const ClassTraining&) = delete;
  ClassTraining& operator=(const ClassTraining&) = delete;

  // Counts the symbols of one section of a chunk. Fault: as encode_section's.
  Check add(uint32_t group, Side side, TokenRange tokens, DType dtype,
            std::span<const TensorView> layers);

  // At most `most_fitted` fitted classes, fewer where data is short; the family and they must fit
  // kMaxClasses together (40 always do).
  TrainedClasses train(size_t most_fitted) const;

 private:
  const Profile& profile_;
  uint32_t passes_;
  std::unique_ptr<const ChannelKernels> kernels_;
  std::vector<std::vector<ClassStatistics>> sections_;  // [2 * group + side][coded position]
  std::vector<std::vector<double>> midpoint_errors_;    // [2 * group + side][passes done]
};

}  // namespace kvcast::kernels
