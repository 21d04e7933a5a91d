// What `write_report` puts beside the JSON: for eyes and for a trace viewer.
#pragma once

#include <string>
#include <vector>

#include "player/report.h"

namespace kvcast::player {

// One self-contained page: no network, no other file. `link` is the true rate of the link in steps,
// where it is known (a simulation, an emulated link); empty: it is left out.
std::string report_page(const PlayReport& report, const std::vector<PlayEvent>& events,
                        const std::vector<LinkRate>& link);

// For ui.perfetto.dev: lanes of transfers, decodes and recomputes, counters of the bandwidth.
std::string perfetto_trace(const PlayReport& report, const std::vector<PlayEvent>& events);

}  // namespace kvcast::player
