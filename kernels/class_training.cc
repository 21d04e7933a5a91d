#include "kernels/class_training.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>

#include "kernels/plane/channels.h"
#include "kernels/plane/section_shape.h"
#include "kernels/statistics/class_statistics.h"
#include "kernels/statistics/midpoint_error.h"
#include "kernels/statistics/parametric_classes.h"
#include "kernels/statistics/symbol_statistics.h"
#include "kernels/statistics/train_classes.h"

namespace kvcast::kernels {

ClassTraining::ClassTraining(const Profile& profile)
    : profile_(profile),
      passes_(profile.passes()),
      kernels_(std::make_unique<ChannelKernels>(profile, default_implementation())) {
  for (const SectionCodec& codec : profile.sections) {
    if (codec.drop_bits.front() != passes_) {
      throw std::invalid_argument("class training: sections that drop different numbers of bits");
    }
    sections_.emplace_back(codec.coefficients(), ClassStatistics(passes_));
    midpoint_errors_.emplace_back(passes_ + 1);
  }
}

ClassTraining::~ClassTraining() = default;

Check ClassTraining::add(uint32_t group, Side side, TokenRange tokens, DType dtype,
                         std::span<const TensorView> layers) {
  const auto shape = shape_of_section(profile_, group, side, tokens);
  if (!shape) return shape.fault();
  const auto y = load_coefficients(*kernels_, *shape, dtype, layers);
  if (!y) return y.fault();
  const SectionCodec& codec = *shape->codec;
  std::vector<ClassStatistics>& section = sections_[2 * group + static_cast<uint32_t>(side)];
  std::vector<double>& section_error = midpoint_errors_[2 * group + static_cast<uint32_t>(side)];
  std::vector<float> column(shape->coded_tokens);
  for (uint32_t position = 0; position < shape->coefficients; ++position) {
    const uint32_t g = position / kLanes, lanes = shape->lanes(g);
    const float* from = y->data() + size_t{g} * kLanes * shape->coded_tokens + position % kLanes;
    for (size_t t = 0; t < column.size(); ++t) column[t] = from[t * lanes];
    section[position].add(symbol_statistics(column, codec.step, codec.rounding, passes_), 1);
    const auto errors = midpoint_errors(column, codec.step, codec.rounding, passes_);
    std::transform(errors.begin(), errors.end(), section_error.begin(), section_error.begin(),
                   std::plus<>());
  }
  return {};
}

TrainedClasses ClassTraining::train(size_t most_fitted) const {
  const std::vector<ClassStatistics> family =
      parametric_statistics(passes_, profile_.sections.front().rounding);
  TrainedClasses trained;
  std::vector<ClassStatistics> groups;
  std::vector<size_t> section_of;
  for (size_t s = 0; s < sections_.size(); ++s) {
    double& bound = trained.section_bound_bits.emplace_back();
    for (size_t i = 0; i < sections_[s].size(); ++i) {
      if (i % kLanes == 0) {
        groups.emplace_back(passes_);
        section_of.push_back(s);
      }
      const ClassStatistics& statistics = sections_[s][i];
      groups.back().add(statistics, 1);
      bound += CodeLengths(build_class(statistics)).bits(statistics);
    }
  }
  for (const ClassStatistics& member : family) trained.classes.push_back(build_class(member));
  for (ScaleClass& fitted : train_classes(groups, family, most_fitted)) {
    trained.classes.push_back(std::move(fitted));
  }
  const std::vector<CodeLengths> lengths(trained.classes.begin(), trained.classes.end());
  trained.section_bits.resize(sections_.size());
  trained.section_error = trained.section_midpoint_error = midpoint_errors_;
  for (size_t g = 0; g < groups.size(); ++g) {
    double least = std::numeric_limits<double>::infinity();
    size_t best = 0;
    for (size_t c = 0; c < lengths.size(); ++c) {
      const double bits = lengths[c].bits(groups[g]);
      if (bits < least) least = bits, best = c;
    }
    trained.section_bits[section_of[g]] += least;
    const auto savings = reconstruction_savings(groups[g], trained.classes[best]);
    std::vector<double>& error = trained.section_error[section_of[g]];
    for (size_t done = 0; done < error.size(); ++done) error[done] -= savings[done];
  }
  return trained;
}

}  // namespace kvcast::kernels
