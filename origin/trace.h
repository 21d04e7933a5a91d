// A link's rate over time, as a step function, and its integral. Pure; immutable, so any number of
// threads may read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::origin {

inline constexpr size_t kMaxTraceBytes = 64u << 20;
inline constexpr double kMaxTraceSeconds = 1e9;
inline constexpr double kMaxTraceMbitPerS = 1e7;  // 10 Tbit/s

class Trace {
 public:
  // Lines `seconds Mbit/s`, separated by blanks; `#` starts a comment; empty lines are skipped.
  // Seconds do not fall from line to line and are not negative; of lines with the same second the
  // last one counts. A rate holds from its second until the next line's, the last one for ever; the
  // first one holds from 0. Rate 0 is an outage. Errors name `name` and the line.
  static manifests::Result<Trace> parse(std::string_view text, std::string_view name);

  // `spec` is a rate in Mbit/s ("40", "40mbit", "0.5Mbit"), or else the path of a trace file.
  static manifests::Result<Trace> from_spec(const std::string& spec);

  static Trace constant(double mbit_per_s);

  Trace scaled(double factor) const;  // every rate times `factor`, >= 0

  struct Step {
    double begin_s = 0;
    double bytes_per_s = 0;
    double bytes_before = 0;  // carried in [0, begin_s]
  };
  const std::vector<Step>& steps() const { return steps_; }  // never empty; the first begins at 0

  double bytes_per_s_at(double seconds) const;
  // Bytes the link can carry in [0, seconds].
  double bytes_until(double seconds) const;
  // The earliest time by which it can carry `bytes`; infinity if it never can.
  double seconds_until(double bytes) const;

 private:
  // Fills bytes_before. `steps` is not empty; its first is taken to begin at 0.
  static Trace from_rates(std::vector<Step> steps);
  const Step& step_at(double seconds) const;

  std::vector<Step> steps_;
};

}  // namespace kvcast::origin
