#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "player/player.h"
#include "player/session/link.h"
#include "player/session/presentation.h"
#include "player/session/session.h"
#include "player/session/speed_memory.h"
#include "player/url.h"

namespace kvcast::player {
namespace {

using manifests::Result;
using manifests::Status;

manifests::KvFileInfo describe(const Presentation& presentation, const Source& source) {
  const manifests::Manifest& manifest = presentation.manifest;
  manifests::KvFileInfo about;
  about.model = manifest.model;
  about.tokens = presentation.tokens;
  about.ropes = manifests::stated_ropes(manifest.model);
  const std::vector<uint32_t> none;
  const std::vector<uint32_t>& stored = manifest.text ? manifest.text->tokens : none;
  const std::vector<uint32_t>& tokens = source.tokens.empty() ? stored : source.tokens;
  if (tokens.size() >= presentation.tokens) {
    about.token_ids.assign(tokens.begin(),
                           tokens.begin() + static_cast<int64_t>(presentation.tokens));
  }
  if (manifest.text && presentation.tokens == manifest.tokens) about.text = manifest.text->utf8;
  return about;
}

Result<std::vector<kernels::MutableTensorView>> prepare(KvSink& sink,
                                                        const Presentation& presentation,
                                                        const Source& source) {
  const KvShape shape{presentation.geometry, presentation.dtype, presentation.tokens};
  if (Status ready = sink.prepare(shape, describe(presentation, source)); !ready) {
    return ready.error();
  }
  std::vector<kernels::MutableTensorView> destinations;
  if (sink.device() != nullptr) {  // nothing that the host could read or write
    destinations.resize(2 * size_t{shape.geometry.layers});
    return destinations;
  }
  for (uint32_t layer = 0; layer < shape.geometry.layers; ++layer) {
    for (const auto side : {kernels::Side::kKey, kernels::Side::kValue}) {
      auto view = sink.destination(layer, side);
      if (!view) return view.error();
      destinations.push_back(*view);
    }
  }
  return destinations;
}

// A version 4 UUID (RFC 9562): tells this play from others in logs, and nobody from anybody.
std::string random_uuid() {
  std::random_device random;
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:08x}{:04x}", random(), random() & 0xffff,
                     random() & 0xfff, 8 + random() % 4, random() & 0xfff, random(),
                     random() & 0xffff);
}

// Those that the manifest names first.
void warm_other_hosts(Transport& transport, const Presentation& presentation,
                      const std::string& warmed, uint32_t connections) {
  const std::vector<manifests::BaseUrl>& bases = presentation.manifest.base_urls;
  const auto best = std::min_element(bases.begin(), bases.end(), [](const auto& a, const auto& b) {
    return a.priority < b.priority;
  });
  if (best == bases.end()) return;
  const auto url = resolve_url(presentation.url, best->url);
  if (url && host_of(*url) != host_of(warmed)) transport.warm(*url, connections);
}

PlayReport nothing_stored(const PlayParams& params, const Link& link, double now_s) {
  PlayReport report;
  report.controller = params.controller;
  report.ttft_slo_ms = params.ttft_slo_ms;
  report.suffix_prefill_ms = params.suffix_prefill_ms;
  if (params.suffix_prefill_ms_after) report.suffix_prefill_ms = params.suffix_prefill_ms_after(0);
  report.freeze_ms = report.kv_ready_ms = now_s * 1e3;
  report.ttft_ms = report.kv_ready_ms + report.suffix_prefill_ms;
  report.met = report.ttft_ms <= report.ttft_slo_ms;
  report.quality = 1;
  report.bytes_fetched = link.bytes_fetched();
  report.requests = link.requests();
  return report;
}

}  // namespace

Result<PlayReport> play(Transport& transport, const Source& source, const PlayParams& params,
                        KvSink& sink, Recompute* recompute, const EventHandler& on_event,
                        std::stop_token stop) {
  const auto controller = make_controller(params.controller);
  if (!controller) return controller.error();
  const Journal journal(transport, params.start_ns, on_event);
  const std::stop_callback wake(stop, [&transport] { transport.wake(); });
  DownloaderParams limits = params.download;
  limits.max_parallel = std::max({1u, params.connections, params.most_connections});
  if (params.cmcd && limits.cmcd.session_id.empty()) limits.cmcd.session_id = random_uuid();
  Downloader downloader(transport, limits);
  downloader.set_deadline(journal.start_ns() + static_cast<int64_t>(params.ttft_slo_ms * 1e6));
  const int64_t wall_clock_s = std::time(nullptr);
  Link link(downloader, journal, params.rate_prior_bytes_per_s, params.history, wall_clock_s);

  const std::string& first = source.manifest_url.empty() ? source.store_url : source.manifest_url;
  if (params.warm && params.connections > 1) transport.warm(first, params.connections - 1);
  const auto presentation = open_presentation(downloader, link, journal, source, params, stop);
  if (!presentation) return presentation.error();
  if (!*presentation) return nothing_stored(params, link, journal.now_s());
  downloader.describe(link.rate_bytes_per_s(), (*presentation)->manifest.id);
  if (params.warm) warm_other_hosts(transport, **presentation, first, params.connections);
  const auto destinations = prepare(sink, **presentation, source);
  if (!destinations) return destinations.error();
  SpeedMemory memory(params.history, wall_clock_s, **presentation, params, sink);
  Session session(transport, link, journal, params, **presentation, **controller, sink,
                  *destinations, recompute, memory);
  return session.run(source.tokens, stop);
}

}  // namespace kvcast::player
