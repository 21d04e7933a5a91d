// Memory of encode_section() that a codec keeps from call to call: fresh pages cost as much as
// coding what they hold. One piece for each thread that encodes at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/plane/uninitialised.h"

namespace kvcast::kernels {

struct EncodeScratch {
  UninitialisedVector<float> coefficients;      // of some channel groups
  UninitialisedVector<int32_t> q, escaped;      // of one
  UninitialisedVector<uint8_t> sample_symbols;  // of some of its steps
  UninitialisedVector<uint8_t> symbols;         // of a section
};

// Thread-safe.
class EncodeScratchPool {
 public:
  // Given back where the pointer goes out of scope, which never fails; the pool must outlive it.
  struct GiveBack {
    EncodeScratchPool* pool;
    void operator()(EncodeScratch* scratch) const;
  };
  using Lease = std::unique_ptr<EncodeScratch, GiveBack>;
  Lease take();

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> free_;  // has room for all that were made
  size_t made_ = 0;
};

}  // namespace kvcast::kernels
