// Synthetic links, by seed. A family is named `kind:key=value,...`; keys of all kinds:
//   seed=1, count=100 (traces), mean=100 (Mbit/s), seconds=60, step=0.05 (seconds)
// and of each:
//   constant  spread=0.5   rates differ from trace to trace, lognormal with this deviation of logs
//   steps     low=0.1 (of the mean) high=1.9: uniform, a new one every step
//   markov    sd=0.6, alike=0.5 (seconds): lognormal, autoregressive; fades=0.4 (a second) of
//             fade=0.35 (seconds) to depth=0.05 of the rate
//   outages   up=0.8, down=0.2 (mean seconds, exponential): the mean rate or nothing, the mean
//             being over both
#pragma once

#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/simulate/link_traces.h"

namespace kvcast::simulate {

bool is_family(const std::string& spec);
manifests::Result<std::vector<NamedTrace>> make_family(const std::string& spec);
std::vector<std::string> family_kinds();

}  // namespace kvcast::simulate
