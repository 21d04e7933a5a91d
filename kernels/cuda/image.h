// The parts of a DeviceProfile's image. Offsets are bytes from its beginning. Read by kernels, so
// plain numbers only.
#pragma once

#include <cstdint>

#include "kernels/entropy/rans_format.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// A slot of the lookup table of a base: bits 0-6 four times the symbol, 7-19 frequency, 20-31 rank.
// A side of a bucket of an alias table: bits 0-4 symbol, 6-18 frequency, 19-31 rank - slot, signed.
// In a pass the symbol's bit 0 is the bit that it appends, bit 1 says that the value becomes
// negative.
struct BaseAliasImage {
  uint32_t divider[32];  // a slot
  uint32_t side[64];     // [bucket]: slots below the divider; [32 + bucket]: the others
};
struct PassImage {
  uint32_t divider[16];  // [4 * context + bucket]
  uint32_t side[32];     // likewise, and 16 + that
};

struct ClassImage {
  uint64_t slots;  // u32[kSlots]
  BaseAliasImage base;
  uint32_t bucket_shift;
  uint32_t alphabet;
  float fraction[kMaxDropBits + 1][2];  // Reconstruction::fraction, [passes done]
  PassImage passes[kMaxDropBits];
};

struct RopeImage {
  uint32_t interleaved;  // or half-split
  uint32_t first_dim, pairs;
  float scaling, unscaling;  // redoing, undoing
  uint32_t unused;
  uint64_t powers;  // double[kRopeParts][pairs][64][2]: cosine and sine of digits of the position
};
inline constexpr uint32_t kRopeDigitBits = 6, kRopeDigits = 1u << kRopeDigitBits, kRopeParts = 5;

inline constexpr uint32_t kNowhere = 0xFFFFFFFF;

struct BlockImage {
  uint32_t first_channel, width, rank;
  uint32_t padded_rank;     // a multiple of kRankPadding
  uint32_t first_position;  // where the coded positions of its components are a run: of the first
  uint32_t unused;          // else kNowhere
  uint64_t positions;       // u32[rank]: coded, ascending
  uint64_t basis;           // bf16[width][padded_rank]: components by position, then zeros
};
inline constexpr uint32_t kRankPadding = 32;

struct SectionImage {
  float step, rounding;
  uint32_t width, coefficients, channels, heads, dim, layers;
  uint32_t blocks;            // 0: no transform
  uint32_t in_order;          // no transform, and coded position = channel
  uint64_t mean, scale;       // float[width]
  uint64_t position;          // no transform: u32[width], coded position of a channel
  uint64_t block_images;      // BlockImage[blocks]
  uint64_t block_of_channel;  // u32[width]
  uint64_t ropes;             // u32[layers]: index into the image's RopeImages, or kNowhere
};

struct ProfileImage {
  uint64_t classes;  // ClassImage[]
  uint64_t ropes;    // RopeImage[]
};
static_assert(sizeof(BaseAliasImage) == 384 && sizeof(PassImage) == 192);
static_assert(sizeof(ClassImage) % 8 == 0 && sizeof(BlockImage) == 40 &&
              sizeof(SectionImage) == 88);

}  // namespace kvcast::kernels
