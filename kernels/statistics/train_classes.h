// Scale classes fitted to data: channel groups are clustered by what their symbols cost (Lloyd
// 1982, with code length as distance). Deterministic.
#pragma once

#include <span>
#include <vector>

#include "kernels/statistics/class_statistics.h"

namespace kvcast::kernels {

// `family`: distributions of weight 1 that smooth the fitted tables. As many classes as the data
// supports, 0 to `most`. Every group holds some weight.
inline constexpr size_t kMaxTrainedClasses = 4;  // of one chunk's data
std::vector<ScaleClass> train_classes(std::span<const ClassStatistics> groups,
                                      std::span<const ClassStatistics> family,
                                      size_t most = kMaxTrainedClasses);

}  // namespace kvcast::kernels
