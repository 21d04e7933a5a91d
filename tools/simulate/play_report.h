// One simulated play for people to look at: what `kvcast play --report` writes of a real one, with
// the link's true rate.
#pragma once

#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/report.h"
#include "player/simulator.h"

namespace kvcast::simulate {

struct ReportedPlay {
  player::PlayReport report;
  std::vector<player::PlayEvent> events;
  std::vector<player::LinkRate> link;  // until the play's end or deadline
};

// Error: the controller's name is unknown.
manifests::Result<ReportedPlay> report_play(const player::SimulatedPresentation& presentation,
                                            const player::LinkTrace& link,
                                            const player::SimulationParams& params,
                                            const std::string& controller);

manifests::Status write_play_report(const std::string& folder,
                                    const player::SimulatedPresentation& presentation,
                                    const player::LinkTrace& link,
                                    const player::SimulationParams& params,
                                    const std::string& controller);

}  // namespace kvcast::simulate
