// Random presentations and links, for properties of controllers and of the simulator.
#pragma once

#include <cstddef>
#include <random>

#include "player/simulator.h"

namespace kvcast::player::testing {

struct RandomPlay {
  SimulatedPresentation presentation;
  LinkTrace link = LinkTrace::constant(1);
  SimulationParams params;  // the SLO is left to the test
};

// A link that collapses or recovers once, four connections that keep it full.
RandomPlay random_play(std::mt19937& random, size_t chunks);
RandomPlay random_play(std::mt19937& random);  // of 3 to 40 chunks

}  // namespace kvcast::player::testing
