#include "kernels/entropy/rans_encode_kernels.h"
#include "kernels/entropy/rans_format.h"

namespace kvcast::kernels::scalar {
namespace {

void encode_steps(const EncodeJob& job, uint32_t steps, uint32_t lanes) {
  uint32_t* const states = job.cursor->states;
  std::byte* next = job.cursor->next;
  for (uint32_t step = steps; step > 0; --step) {
    const uint8_t* const symbols = job.symbols + size_t{step - 1} * lanes;
    for (uint32_t lane = lanes; lane > 0; --lane) {
      const EncodeTable::Symbol& symbol = job.table->symbol[symbols[lane - 1]];
      const uint32_t x = states[lane - 1];
      // Whether a word is emitted is random: a jump would be mispredicted, and the compiler must
      // not find one.
      const auto word = static_cast<uint16_t>(x);
      __builtin_memcpy(next - kWordBytes, &word, kWordBytes);
      const uint32_t emitted = x >> 20 >= symbol.frequency;
      next -= emitted * kWordBytes;
      const uint32_t rest = x >> emitted * kWordBits;
      const auto quotient = static_cast<uint32_t>(rest * symbol.multiplier >> 44);
      const uint32_t rank = rest - quotient * symbol.frequency;
      states[lane - 1] = (quotient << kProbabilityBits) + symbol.slots[rank];
    }
  }
  job.cursor->next = next;
}

}  // namespace

void encode_symbols(const EncodeJob* jobs, uint32_t streams, uint32_t steps, uint32_t lanes) {
  for (uint32_t s = 0; s < streams; ++s) encode_steps(jobs[s], steps, lanes);
}

}  // namespace kvcast::kernels::scalar
