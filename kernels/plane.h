// One (transform group, K|V) of one chunk, to planes and back. Stateless: any number of threads may
// call at once with one profile. Format: kernels/plane_format.md. Layering: embedded dead-zone
// quantisers as in JPEG 2000 (Taubman & Marcellin, ch. 3.2.7); entropy coder: interleaved rANS
// (Duda 2013, Giesen 2014).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/implementation.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// The profile with its tables built: what encoders and decoders share. Immutable; keeps a reference
// to the profile, which must outlive it and be valid. Throws std::invalid_argument where this CPU
// lacks the implementation's instructions.
class Codec {
 public:
  explicit Codec(const Profile& profile, Implementation implementation = default_implementation());
  ~Codec();
  Codec(Codec&&) noexcept;
  Codec(const Codec&) = delete;
  const Profile& profile() const { return *profile_; }
  Implementation implementation() const { return implementation_; }
  struct Tables;
  const Tables& tables() const { return *tables_; }

 private:
  const Profile* profile_;
  Implementation implementation_;
  std::unique_ptr<const Tables> tables_;
};

// The finest values that an encoder writes; decoders read any. kRateDistortion takes a neighbour
// where that pays over the levels together: kernels/plane_format.md, section 6. It takes a
// tenth more time.
enum class ValueChoice : uint8_t { kNearest, kRateDistortion };

struct EncodedSection {
  std::vector<std::vector<std::byte>>
      planes;                         // [levels]: plane 0 is a base section, the others refinements
  std::vector<double> squared_error;  // [levels]: sum over coefficients of (y - reconstruction)^2
  double energy = 0;                  // sum of y^2: relative distortion is squared_error / energy
};

// `layers` are the views of the group's layers, post-RoPE, `dtype`, tokens.count tokens each.
// Fault: a NaN or infinity; its offset is the element's index, (layer in group * tokens + token) *
// channels + channel. Also a coefficient that overflows fp32, a group that no class can code, or
// more symbols than a section may have.
Checked<EncodedSection> encode_section(const Codec& codec, uint32_t group, Side side,
                                       TokenRange tokens, DType dtype,
                                       std::span<const TensorView> layers,
                                       ValueChoice values = ValueChoice::kNearest);

// Decodes planes 0..planes.size()-1 of a section and writes tokens.count tokens of the group's
// layers as `dtype`, RoPE redone; sink tokens come from `sinks` (empty unless the chunk holds any).
// On a fault the destination's contents are unspecified, and nothing outside it is touched.
Check decode_section(const Codec& codec, uint32_t group, Side side, TokenRange tokens, DType dtype,
                     std::span<const std::span<const std::byte>> planes,
                     std::span<const std::byte> sinks, std::span<const MutableTensorView> layers);

// Dequantised coefficients before the inverse transform, as bf16 bits, [coded token][coefficient]:
// the point up to which all implementations agree bit for bit.
Checked<std::vector<uint16_t>> decode_coefficients(
    const Codec& codec, uint32_t group, Side side, TokenRange tokens,
    std::span<const std::span<const std::byte>> planes);

// The same into memory of the caller's, e.g. kept from chunk to chunk: `coefficients` has coded
// tokens * SectionCodec::coefficients() elements, else std::invalid_argument is thrown. Its
// contents are unspecified after a fault.
Check decode_coefficients(const Codec& codec, uint32_t group, Side side, TokenRange tokens,
                          std::span<const std::span<const std::byte>> planes,
                          std::span<uint16_t> coefficients);

// The raw bytes of the first sink tokens of the group's layers (plane_format.md, "Sinks").
std::vector<std::byte> encode_sinks(const Profile& profile, uint32_t group, Side side,
                                    TokenRange tokens, DType dtype,
                                    std::span<const TensorView> layers);

}  // namespace kvcast::kernels
