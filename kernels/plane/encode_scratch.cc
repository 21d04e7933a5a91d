#include "kernels/plane/encode_scratch.h"

namespace kvcast::kernels {

EncodeScratchPool::Lease EncodeScratchPool::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    free_.reserve(made_ + 1);
    Lease lease(new EncodeScratch, {this});
    ++made_;
    return lease;
  }
  Lease lease(free_.back().release(), {this});
  free_.pop_back();
  return lease;
}

void EncodeScratchPool::GiveBack::operator()(EncodeScratch* scratch) const {
  const std::lock_guard lock(pool->mutex_);
  pool->free_.emplace_back(scratch);
}

}  // namespace kvcast::kernels
