// How many components of each transform block a profile keeps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "packager/calibrate/section_fit.h"

namespace kvcast::packager {

// [section][block]: components with at least `least_variance`, at least one a section; then, until
// the bases (2 bytes an entry) take at most `max_basis_bytes` (0: no limit), those of least
// variance a byte go first, whichever section they are of.
std::vector<std::vector<uint32_t>> choose_ranks(std::span<const SectionSpectrum> sections,
                                                double least_variance, uint64_t max_basis_bytes);

}  // namespace kvcast::packager
