#include <nlohmann/json.hpp>

#include "player/report/page_template.h"
#include "player/report/pages.h"
#include "player/report/timeline.h"

namespace kvcast::player {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLaneNames[] = {"network", "decode", "recompute"};

Json span_json(const Span& span) {
  Json json = {{"kind", kLaneNames[static_cast<size_t>(span.kind)]},
               {"lane", span.lane},
               {"begin", span.begin_ms},
               {"end", span.end_ms},
               {"name", span.name},
               {"outcome", span.outcome},
               {"reason", span.reason}};
  if (span.chunk) json["chunk"] = *span.chunk;
  if (span.plane) json["plane"] = *span.plane;
  if (span.bytes > 0) json["bytes"] = span.bytes;
  return json;
}

Json samples_json(const std::vector<RatePoint>& samples) {
  Json list = Json::array();
  for (const RatePoint& sample : samples) list.push_back({sample.time_ms, sample.bytes_per_s});
  return list;
}

Json link_json(const std::vector<LinkRate>& link) {
  Json list = Json::array();
  for (const LinkRate& step : link) list.push_back({step.begin_s * 1e3, step.bytes_per_s});
  return list;
}

// Inside <script>, the only way out is "</": with every "<" escaped there is none.
std::string for_script(std::string json) {
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string report_page(const PlayReport& report, const std::vector<PlayEvent>& events,
                        const std::vector<LinkRate>& link) {
  const Timeline timeline = make_timeline(report, events);
  Json data;
  data["report"] = Json::parse(report_json(report));
  data["end"] = timeline.end_ms;
  data["freeze"] = timeline.freeze_ms ? Json(*timeline.freeze_ms) : Json(nullptr);
  data["lanes"] = {
      {"network", timeline.network_lanes}, {"decode", timeline.decode_lanes}, {"recompute", 1}};
  data["spans"] = Json::array();
  for (const Span& span : timeline.spans) data["spans"].push_back(span_json(span));
  data["rates"] = {{"measured", samples_json(timeline.measured)},
                   {"predicted", samples_json(timeline.predicted)},
                   {"link", link_json(link)}};
  data["events"] = Json::array();
  for (const PlayEvent& event : events) data["events"].push_back(Json::parse(event_json(event)));

  std::string page(kPageTemplate);
  const size_t mark = page.find(kPageDataMark);
  page.replace(mark, kPageDataMark.size(),
               for_script(data.dump(-1, ' ', false, Json::error_handler_t::replace)));
  return page;
}

}  // namespace kvcast::player
