// Finest values by rate and distortion, once a channel group's class is known: the neighbour of the
// nearest value where that costs less over all levels together. kernels/plane_format.md, section 6.
#pragma once

#include "kernels/plane/tables.h"
#include "kernels/profile.h"
#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {

// `tables` are those of `scale_class`. Of a symbol that the class lacks, thresholds keep away.
ValueThresholds value_thresholds(const ClassTables& tables, const ScaleClass& scale_class,
                                 const SectionCodec& codec);

}  // namespace kvcast::kernels
