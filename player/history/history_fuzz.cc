// Histories of plays: whatever was read can be looked up, learned from, written, and reads back.
#include <cmath>
#include <string_view>

#include "player/play_history.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::player;
  using kvcast::fuzz::expect;
  constexpr int64_t kNow_s = 1'700'000'000;
  auto history = PlayHistory::parse({reinterpret_cast<const char*>(data), size}, kNow_s);
  if (!history) return 0;
  expect(history->size() <= PlayHistory::kMaxHosts + 2 * PlayHistory::kMaxKinds, "all is limited");
  const char* host = "http://127.0.0.1:80";
  LinkRecord seen;
  seen.rate_bytes_per_s = {1e6, 0.5};
  seen.ttfb_s = {0.1, 0.5};
  history->learn(host, seen, kNow_s);
  const auto record = history->find(host, kNow_s);
  expect(record.has_value(), "what was learned is known");
  for (const Spread& spread : {record->rate_bytes_per_s, record->ttfb_s}) {
    expect(std::isfinite(spread.median) && spread.median > 0, "a median is a number");
    expect(std::isfinite(spread.log_sd) && spread.log_sd >= 0, "a spread is a number");
  }
  history->learn_decode("here", {1e-3, 0.1}, kNow_s);
  history->learn_recompute("here", {0.01, 1e-4, 1e-8}, kNow_s);
  const auto decode = history->find_decode("here", kNow_s);
  expect(decode.has_value() && std::isfinite(decode->median) && decode->median > 0 &&
             std::isfinite(decode->log_sd) && decode->log_sd >= 0,
         "a decoding time is a number");
  const auto cost = history->find_recompute("here");
  expect(cost.has_value(), "what was learned of recomputing is known");
  for (const double seconds : {cost->per_call_s, cost->per_token_s, cost->per_token_position_s}) {
    expect(std::isfinite(seconds) && seconds >= 0, "a cost is a number");
  }
  const auto again = PlayHistory::parse(history->to_json(), kNow_s);
  expect(again.ok() && again->size() == history->size(), "a history survives writing");
  return 0;
}
