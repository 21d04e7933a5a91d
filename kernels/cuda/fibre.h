// A stack that can be left in the middle and returned to.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace kvcast::kernels::emulation {

// resume() runs the body until it calls suspend() or returns. Not to be destroyed before it is
// done.
class Fibre {
 public:
  Fibre();
  Fibre(const Fibre&) = delete;
  void start(const std::function<void()>* body);  // must outlive the run; done before
  void resume();
  void suspend();  // called by the body
  bool done() const { return body_ == nullptr; }

 private:
  static void enter();
  static constexpr size_t kStackBytes = 64 * 1024;
  std::unique_ptr<std::byte[]> stack_;
  void* inside_ = nullptr;   // where the body stands, while it does not run
  void* outside_ = nullptr;  // where resume() was called
  const std::function<void()>* body_ = nullptr;
  // For AddressSanitizer, which must be told of stacks.
  const void* outer_stack_ = nullptr;
  size_t outer_bytes_ = 0;
};

}  // namespace kvcast::kernels::emulation
