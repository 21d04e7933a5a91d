// What the check found, as a table for people and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/gpu_check/matrix.h"
#include "kernels/gpu_check/peers.h"

namespace kvcast::kernels::gpu_check {

// A promise of the project and how it came out.
struct Bar {
  std::string what, unit;
  double measured = 0, least = 0;  // or at most, where `at_most`
  bool at_most = false;
  bool met() const { return at_most ? measured <= least : measured >= least; }
};

struct Findings {
  std::string device, date;
  std::vector<CheckResult> checks;
  std::vector<Rate> rates;
  double copy_bytes_per_s = 0;  // on the device, of the same run
  std::vector<Bar> bars;
  std::vector<std::string> left_out;  // what was not measured, and why
  bool sound() const;                 // no check failed; bars are reported, not judged
};

std::string text_of(const Findings& findings);
std::string json_of(const Findings& findings);

}  // namespace kvcast::kernels::gpu_check
