// Link histories: whatever was read can be looked up, learned from, written, and reads back.
#include <cmath>
#include <string_view>

#include "player/link_history.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::player;
  using kvcast::fuzz::expect;
  constexpr int64_t kNow_s = 1'700'000'000;
  auto history = LinkHistory::parse({reinterpret_cast<const char*>(data), size}, kNow_s);
  if (!history) return 0;
  expect(history->size() <= LinkHistory::kMaxHosts, "hosts are limited");
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
  const auto again = LinkHistory::parse(history->to_json(), kNow_s);
  expect(again.ok() && again->size() == history->size(), "a history survives writing");
  return 0;
}
