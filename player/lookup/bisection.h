// Which blocks to ask for next, when everything before a present block is present. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace kvcast::player {

class Bisection {
 public:
  Bisection(uint64_t blocks, uint32_t probes) : absent_(blocks), probes_(probes) {}

  bool done() const { return present_ == absent_; }
  // Distinct, ascending; at most `probes`, at least one until done. The first round ends with the
  // last block.
  std::vector<uint64_t> next() const;
  void answer(uint64_t block, bool is_present);
  std::optional<uint64_t> last_present() const;

 private:
  uint64_t present_ = 0;  // blocks [0, present_) are there
  uint64_t absent_;       // blocks from absent_ on are not
  uint32_t probes_;
  bool first_ = true;
};

}  // namespace kvcast::player
