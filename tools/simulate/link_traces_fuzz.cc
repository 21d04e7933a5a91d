// Traces of links in every form that simulations take, and the origin's pace: times do not fall,
// rates are finite, and the integral and its inverse agree.
#include <cmath>
#include <string>
#include <string_view>

#include "origin/trace.h"
#include "tests/fuzz/expect.h"
#include "tools/simulate/link_traces.h"

namespace {

using kvcast::fuzz::expect;

void check_pace(std::string_view text) {
  const auto trace = kvcast::origin::Trace::parse(text, "input");
  if (!trace) return;
  double before_s = 0, before_bytes = 0;
  for (const auto& step : trace->steps()) {
    expect(step.begin_s >= before_s && step.bytes_before >= before_bytes, "a trace goes forward");
    before_s = step.begin_s;
    before_bytes = step.bytes_before;
  }
  const double bytes = trace->bytes_until(before_s + 1);
  const double seconds = trace->seconds_until(bytes);
  expect(seconds <= (before_s + 1) * (1 + 1e-9), "bytes come no later than they did");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_pace(text);
  const auto traces = kvcast::simulate::import_traces(text, "input", "fuzz");
  if (!traces) {
    expect(!traces.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  for (const auto& trace : *traces) {
    expect(std::isfinite(trace.seconds) && trace.seconds > 0, "a trace has a length");
    expect(std::isfinite(trace.mean_bytes_per_s()), "a trace has a mean");
    trace.held().seconds_until(1e9);
  }
  return 0;
}
