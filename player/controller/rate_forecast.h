// Guesses at the link's rate from what it brought before. Pure; 0 where nothing is known.
#pragma once

#include <span>

#include "player/controller.h"

namespace kvcast::player {

// Of the latest sample.
double last_rate(std::span<const RateSample> history);

// Exponential mean weighted by seconds, free of the bias towards its start (Shaka player,
// lib/abr/ewma.js).
double moving_average(std::span<const RateSample> history, double half_life_s);

// Harmonic mean of the last five, divided by one more than the largest relative error that the
// same guess made over the last five (robust MPC: Yin et al., SIGCOMM 2015, section 4.3).
double robust_harmonic_mean(std::span<const RateSample> history);

// Bytes that come within `seconds` with the probability that belongs to `z` standard deviations,
// the logarithm of the rate being normal. With few samples a wide guess (`prior_log_sd`) counts as
// two of them. Over times longer than `alike_s` the rate averages out.
double bytes_with_confidence(std::span<const RateSample> history, double seconds, double z);

}  // namespace kvcast::player
