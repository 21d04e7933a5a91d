#include <fmt/format.h>

#include <charconv>

#include "manifests/manifest.h"
#include "player/controller/fixed.h"
#include "player/controller/layered.h"
#include "player/controller/text.h"

namespace kvcast::player {

manifests::Result<std::unique_ptr<Controller>> make_controller(std::string_view name) {
  constexpr std::string_view kFixed = "fixed:";
  if (name == "layered") return std::unique_ptr<Controller>(new LayeredController);
  if (name == "text") return std::unique_ptr<Controller>(new TextController);
  if (name.starts_with(kFixed)) {
    const std::string_view digits = name.substr(kFixed.size());
    uint32_t level = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), level);
    if (error == std::errc() && end == digits.data() + digits.size() &&
        level < manifests::kMaxPlanes) {
      return std::unique_ptr<Controller>(new FixedController(static_cast<int>(level)));
    }
  }
  return manifests::Error{
      manifests::ErrorKind::kUsage,
      fmt::format("controller \"{}\" is unknown: use layered, text, or fixed:0 to fixed:{}", name,
                  manifests::kMaxPlanes - 1)};
}

}  // namespace kvcast::player
