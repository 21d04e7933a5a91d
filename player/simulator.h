// Plays in virtual time: the player's own controllers and estimators against a link whose rate
// follows a trace, an engine and a decoder of known speeds; and the best that any planner could
// have done. Deterministic: no clock is read, and only given seeds are used.
//
// The link is a fluid one: transfers under way share its rate equally, each at most its congestion
// window a round trip; windows double every round trip in which they were the limit, and stay with
// their connection. Nothing is lost and no queue overflows. A play begins with cold connections: a
// round trip to connect, one for the manifest, then the controller decides.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "player/controller.h"
#include "player/report.h"

namespace kvcast::player {

// A link's rate as a step function of time, and its integral. Immutable; copies share the steps.
class LinkTrace {
 public:
  struct Step {
    double begin_s = 0, bytes_per_s = 0;
  };
  // `steps` begin at 0 and rise. With a period, beyond the last begin, all of it repeats; without,
  // the last rate holds for ever.
  explicit LinkTrace(std::vector<Step> steps, std::optional<double> period_s = std::nullopt);
  static LinkTrace constant(double bytes_per_s) { return LinkTrace({{0, bytes_per_s}}); }

  LinkTrace shifted(double offset_s) const;              // begins later in it
  LinkTrace scaled(double rate, double time = 1) const;  // time 0.1: ten times as fast changes

  double bytes_per_s_at(double seconds) const;
  double bytes_until(double seconds) const;    // in [0, seconds]
  double seconds_until(double bytes) const;    // earliest; infinity if it never carries so many
  double next_change_s(double seconds) const;  // later than `seconds`; may be infinity
  double mean_bytes_per_s() const;             // of a period, or of the time before the last step
  double seconds() const;                      // the period, or where the last step begins
  size_t steps() const { return data_->steps.size(); }

 private:
  struct Data {
    std::vector<Step> steps;
    std::vector<double> bytes_before;
    std::optional<double> period_s;
    double period_bytes = 0;
  };
  size_t step_at(double in_data_s) const;
  double carried(double in_data_s) const;  // of the unscaled trace from its begin on
  std::shared_ptr<const Data> data_;
  double offset_s_ = 0, rate_ = 1, time_ = 1, carried_before_ = 0;
};

struct SimulatedPresentation {
  std::string name;
  // Ladders and levels; decode_s and recompute_s as they will turn out; nothing held.
  std::vector<ChunkState> chunks;
  uint64_t manifest_bytes = 4096, profile_bytes = 0, raw_bytes = 0;
};

struct SimulationParams {
  double ttft_slo_s = 1;
  double suffix_prefill_s = 0;
  double rtt_s = 0.001;
  double server_s = 0;  // from a request's arrival to the first byte
  uint32_t connections = 4;
  bool slow_start = true;
  double response_header_bytes = 0;  // on the link before each body
  double tick_s = 0.005;  // between decisions when nothing happens, as in the player
  bool recompute = true;
  double engine_slowdown = 1;  // what recomputation takes against what the engine says beforehand
  double gpu_seconds_price = 0;
  bool finish_early = false;
  double give_up_slos = 40;  // a play ends unfinished after so many SLOs
  // Objects that turn out not to be there, when they are first asked for.
  std::function<bool(uint32_t chunk, uint32_t plane)> lost;
  std::function<void(const Observation&, const Choice&)> on_decision;
  EventHandler on_event;  // as a player's journal would have them: report.h draws both
};

struct SimulatedPlay {
  bool complete = false;  // handed over before giving up
  bool met = false;
  double ttft_s = 0, freeze_s = 0;
  double quality = 0;      // token-weighted mean over chunks; a missing one has 0
  double bytes = 0;        // received, the manifest and what was not used included
  double gpu_seconds = 0;  // cancelled recomputes included
  uint32_t decisions = 0;
  std::vector<ChunkState> chunks;  // at the end
};

SimulatedPlay simulate_play(const Controller& controller, const SimulatedPresentation& presentation,
                            const LinkTrace& link, const SimulationParams& params);

// The best a planner could do that knows the trace: text for the first k chunks, for the others
// the levels of most quality that the link can bring in time, for the best k. Transfers are fluid:
// no request overhead, no order; but nothing comes before the manifest and one round trip, nor
// faster than all windows allow. No play of the simulator does better.
struct Optimum {
  bool feasible = false;
  double least_ttft_s = 0;  // of any plan; of the lowest levels
  // Of the plan of best quality (less the price of its engine time) that meets the SLO, or else of
  // the one with the least TTFT.
  double ttft_s = 0, quality = 0, bytes = 0, gpu_seconds = 0;
  uint32_t recomputed_chunks = 0;
  std::vector<int> levels;  // of the other chunks
};

Optimum find_optimum(const SimulatedPresentation& presentation, const LinkTrace& link,
                     const SimulationParams& params);

}  // namespace kvcast::player
