#include "player/testing/simulated.h"

#include <algorithm>

#include "player/testing/observations.h"

namespace kvcast::player::testing {
namespace {

double uniform(std::mt19937& random, double a, double b) {
  return std::uniform_real_distribution<double>(a, b)(random);
}

}  // namespace

RandomPlay random_play(std::mt19937& random, size_t chunks) {
  RandomPlay play;
  const double recompute_s = uniform(random, 0.005, 0.06), growth = uniform(random, 0, 0.05);
  const double base_bytes = uniform(random, 20'000, 200'000);
  for (size_t c = 0; c < chunks; ++c) {
    const auto bytes = static_cast<uint64_t>(base_bytes * uniform(random, 0.7, 1.3));
    play.presentation.chunks.push_back(
        chunk_of(bytes, recompute_s * (1 + growth * static_cast<double>(c))));
    play.presentation.chunks.back().max_level = static_cast<int>(uniform(random, 0, 4));
  }
  const double rate = uniform(random, 1e6, 30e6), fall_s = uniform(random, 0.01, 1);
  const double after = uniform(random, 0, 1.5);
  play.link = LinkTrace({{0, rate}, {fall_s, rate * after}});
  // A transfer takes as long as its first byte, or longer.
  play.params.rtt_s =
      uniform(random, 0.1, 1) * std::min(0.01, 0.7 * base_bytes / (rate * std::max(1.0, after)));
  play.params.slow_start = false;
  play.params.suffix_prefill_s = 0.02;
  return play;
}

RandomPlay random_play(std::mt19937& random) {
  const auto chunks = static_cast<size_t>(uniform(random, 3, 40));
  return random_play(random, chunks);
}

}  // namespace kvcast::player::testing
