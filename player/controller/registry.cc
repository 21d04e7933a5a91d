#include <fmt/format.h>

#include <charconv>

#include "manifests/manifest.h"
#include "player/controller/cachegen_artifact.h"
#include "player/controller/cachegen_paper.h"
#include "player/controller/chance.h"
#include "player/controller/fixed.h"
#include "player/controller/layered.h"
#include "player/controller/refetch.h"
#include "player/controller/robust_mpc.h"
#include "player/controller/text.h"
#include "player/controller/throughput_rule.h"

namespace kvcast::player {
namespace {

template <typename Made>
std::unique_ptr<Controller> make() {
  return std::make_unique<Made>();
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Controller> (*make)();
};

constexpr Entry kEntries[] = {
    {"layered", [] { return std::unique_ptr<Controller>(new LayeredController(true)); }},
    {"layered-no-text", [] { return std::unique_ptr<Controller>(new LayeredController(false)); }},
    {"refetch", make<RefetchController>},
    {"chance", make<ChanceController>},
    {"robust-mpc", make<RobustMpcController>},
    {"throughput", make<ThroughputController>},
    {"cachegen-paper", make<CacheGenPaperController>},
    {"cachegen-artifact", make<CacheGenArtifactController>},
    {"text", make<TextController>},
};

constexpr std::string_view kFixed = "fixed:";

}  // namespace

manifests::Result<std::unique_ptr<Controller>> make_controller(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.name) return entry.make();
  }
  if (name.starts_with(kFixed)) {
    const std::string_view digits = name.substr(kFixed.size());
    uint32_t level = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), level);
    if (error == std::errc() && end == digits.data() + digits.size() &&
        level < manifests::kMaxPlanes) {
      return std::unique_ptr<Controller>(new FixedController(static_cast<int>(level)));
    }
  }
  std::string known;
  for (const Entry& entry : kEntries) known += fmt::format("{}, ", entry.name);
  return manifests::Error{manifests::ErrorKind::kUsage,
                          fmt::format("controller \"{}\" is unknown: use {}or fixed:0 to fixed:{}",
                                      name, known, manifests::kMaxPlanes - 1)};
}

std::vector<std::string_view> controller_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  names.push_back("fixed:0");
  return names;
}

}  // namespace kvcast::player
