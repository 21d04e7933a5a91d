#include "kernels/plane/section_shape.h"

#include <stdexcept>
#include <string>

#include "kernels/plane/layout.h"

namespace kvcast::kernels {

Checked<SectionShape> shape_of_section(const Profile& profile, uint32_t group, Side side,
                                       TokenRange tokens) {
  if (group >= profile.groups.size())
    throw std::invalid_argument("no such transform group in the profile");
  SectionShape shape;
  shape.profile = &profile;
  shape.codec = &profile.section(group, side);
  shape.side = side;
  shape.layers = profile.groups[group];
  shape.tokens = tokens;
  shape.sinks = profile.sinks_in(tokens);
  shape.coded_tokens = tokens.count - shape.sinks;
  shape.channels = profile.geometry.channels(side);
  shape.width = profile.section_width(group, side);
  shape.coefficients = shape.codec->coefficients();
  shape.groups = (shape.coefficients + kLanes - 1) / kLanes;
  if (tokens.count > kMaxChunkTokens) {
    return Fault{"chunk of " + std::to_string(tokens.count) + " tokens; the limit is " +
                 std::to_string(kMaxChunkTokens)};
  }
  if (uint64_t{shape.coded_tokens} * shape.coefficients > kMaxSectionSymbols) {
    return Fault{std::to_string(shape.coded_tokens) + " tokens of " +
                 std::to_string(shape.coefficients) +
                 " coefficients; the limit is 2^31 symbols: use shorter chunks"};
  }
  return shape;
}

}  // namespace kvcast::kernels
