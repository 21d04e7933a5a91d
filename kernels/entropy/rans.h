// Interleaved rANS streams (Duda 2013, arXiv:1311.2540; interleaving: Giesen 2014,
// arXiv:1402.3392). Format: kernels/plane_format.md, section 4. Scalar reference; every other
// implementation matches it bit for bit.
//
// A stream codes steps of up to 32 lanes. The caller feeds runs of steps that share their lanes and
// tables: `symbols` is [steps][lanes], lanes at most the stream's.
//   one table:  every symbol of the run is coded with it
//   contexts:   symbol i is coded with *tables[contexts[i]]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/rans_encode_kernels.h"
#include "kernels/entropy/rans_kernels.h"
#include "kernels/fault.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// rANS is last in, first out: runs are given in the reverse of the order in which they are decoded;
// within a run, symbols are in decoding order. Every symbol must have a frequency > 0 in its table.
// Not thread-safe.
class RansEncoder {
 public:
  explicit RansEncoder(uint32_t lanes);
  void encode(const EncodeTable& table, uint32_t lanes, std::span<const uint8_t> indices);
  void encode(const AliasTable& table, uint32_t lanes, std::span<const uint8_t> symbols);
  void encode(std::span<const AliasTable* const> tables, std::span<const uint8_t> contexts,
              uint32_t lanes, std::span<const uint8_t> symbols);

  // For vector kernels: where encoding stands, with room for so many symbols more. They move it.
  EncodeCursor& make_room(size_t symbols);

  std::vector<std::byte> finish() const;  // the stream: states, then words; no padding

 private:
  size_t word_bytes() const { return static_cast<size_t>(bytes_.get() + capacity_ - cursor_.next); }

  uint32_t lanes_;
  EncodeCursor cursor_;
  std::unique_ptr<std::byte[]> bytes_;  // the last of them are the words
  size_t capacity_ = 0;
};

// Reads any bytes safely. Faults carry offsets in the stream. The stream's bytes must outlive the
// decoder.
class RansDecoder {
 public:
  // Fault: too short for the states, half a word, a state below 2^16.
  static Checked<RansDecoder> open(std::span<const std::byte> stream, uint32_t lanes);

  // Fault: the words ran out; the symbols are then unspecified (but inside the alphabets).
  Check decode(const AliasTable& table, uint32_t lanes, std::span<uint8_t> symbols);
  Check decode(std::span<const AliasTable* const> tables, std::span<const uint8_t> contexts,
               uint32_t lanes, std::span<uint8_t> symbols);

  // For vector kernels: where decoding stands, and where it goes on after some steps. resume()
  // faults where the cursor is past the end: the words ran out. A cursor's end is the stream's,
  // whatever may be read behind it.
  RansCursor cursor() const;
  Check resume(const RansCursor& cursor);

  // After the last run. Fault: words left over, or a state that is not the encoder's first.
  Check finish() const;

 private:
  RansDecoder() = default;
  template <typename SlotsOf>
  Check decode_run(SlotsOf slots_of, uint32_t lanes, std::span<uint8_t> symbols);
  Fault ran_out() const;
  size_t offset() const { return size_t{lanes_} * kStateBytes + word_ * kWordBytes; }

  uint32_t lanes_ = 0;
  std::array<uint32_t, kLanes> states_{};
  std::span<const std::byte> words_;  // word_count_ little-endian words
  size_t word_count_ = 0;
  size_t word_ = 0;  // next
};

}  // namespace kvcast::kernels
