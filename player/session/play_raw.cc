#include <fmt/format.h>

#include <cstring>
#include <ctime>

#include "manifests/kv_file.h"
#include "manifests/safetensors.h"
#include "player/device/placing.h"
#include "player/player.h"
#include "player/session/link.h"
#include "player/session/presentation.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kMaxRawBytes = uint64_t{1} << 36;
constexpr std::chrono::milliseconds kPollWait{20};

Result<std::vector<std::byte>> fetch(Link& link, const std::string& url, std::stop_token stop) {
  DownloadRequest request;
  request.name = "raw cache";
  request.url = url;
  request.size_limit_bytes = kMaxRawBytes;
  link.start({Want::Kind::kRaw}, std::move(request));
  while (!stop.stop_requested()) {
    for (Link::Outcome& outcome : link.poll(kPollWait)) {
      if (outcome.error) return *outcome.error;
      return std::move(outcome.bytes);
    }
  }
  link.cancel_all();
  return cancelled();
}

// Dense rows of one tensor of the file.
kernels::TensorView rows_of(const manifests::SafetensorsHeader& header, uint32_t layer,
                            kernels::Side side, std::span<const std::byte> file, uint64_t tokens) {
  const auto found =
      header.tensors.find(side == kernels::Side::kKey ? manifests::key_tensor_name(layer)
                                                      : manifests::value_tensor_name(layer));
  if (found == header.tensors.end() || tokens == 0) return {};
  return {file.data() + found->second.offset, found->second.bytes / tokens};
}

Result<Presentation> describe(const manifests::KvFileInfo& info, const std::string& url,
                              const PlayParams& params) {
  manifests::Manifest manifest;
  manifest.id = url;
  manifest.model = info.model;
  manifest.levels = params.min_level + 1;
  manifest.tokens = info.tokens;
  manifest.chunks.emplace_back().token_end = info.tokens;
  PlayParams plain = params;
  plain.exact = false;
  return check_presentation(std::move(manifest), url, std::nullopt, plain);
}

Status copy(const manifests::SafetensorsHeader& header, std::span<const std::byte> file,
            const Presentation& presentation, KvSink& sink) {
  const uint64_t tokens = presentation.tokens;
  std::vector<kernels::TensorView> tensors;
  for (uint32_t layer = 0; layer < presentation.geometry.layers; ++layer) {
    for (const auto side : {kernels::Side::kKey, kernels::Side::kValue}) {
      tensors.push_back(rows_of(header, layer, side, file, tokens));
      if (sink.device() != nullptr || presentation.geometry.channels(side) == 0) continue;
      const auto to = sink.destination(layer, side);
      if (!to) return to.error();
      const kernels::TensorView& from = tensors.back();
      for (uint64_t token = 0; token < tokens; ++token) {
        std::memcpy(to->data + token * to->token_stride_bytes,
                    from.data + token * from.token_stride_bytes, from.token_stride_bytes);
      }
    }
  }
  if (sink.device() != nullptr) {
    const kernels::TokenRange all{0, static_cast<uint32_t>(tokens)};
    if (Status placed = place_chunk(*sink.device(), all, tensors); !placed) return placed;
  }
  sink.chunk_ready(0, presentation.tokens);
  for (uint32_t layer = 0; layer < presentation.geometry.layers; ++layer) sink.layer_ready(layer);
  return {};
}

}  // namespace

Result<PlayReport> play_raw(Transport& transport, const std::string& url, const PlayParams& params,
                            KvSink& sink, const EventHandler& on_event, std::stop_token stop) {
  const Journal journal(transport, params.start_ns, on_event);
  const std::stop_callback wake(stop, [&transport] { transport.wake(); });
  Downloader downloader(transport, params.download);
  downloader.set_deadline(journal.start_ns() + static_cast<int64_t>(params.ttft_slo_ms * 1e6));
  Link link(downloader, journal, params.rate_prior_bytes_per_s, params.history, std::time(nullptr));

  const auto file = fetch(link, url, stop);
  if (!file) return file.error();
  const auto header = manifests::parse_safetensors(*file, file->size(), url);
  if (!header) return header.error();
  const auto info = manifests::describe_kv_header(*header, url);
  if (!info) return info.error();
  const auto presentation = describe(*info, url, params);
  if (!presentation) return presentation.error();
  const KvShape shape{presentation->geometry, presentation->dtype, presentation->tokens};
  if (Status ready = sink.prepare(shape, *info); !ready) return ready.error();
  if (Status copied = copy(*header, *file, *presentation, sink); !copied) return copied.error();

  PlayReport report;
  report.presentation = url;
  report.controller = "raw";
  report.tokens = presentation->tokens;
  report.ttft_slo_ms = params.ttft_slo_ms;
  report.suffix_prefill_ms = params.suffix_prefill_ms_after
                                 ? params.suffix_prefill_ms_after(report.tokens)
                                 : params.suffix_prefill_ms;
  report.freeze_ms = report.kv_ready_ms = journal.now_s() * 1e3;
  report.ttft_ms = report.kv_ready_ms + report.suffix_prefill_ms;
  report.met = report.ttft_ms <= params.ttft_slo_ms;
  report.bytes_fetched = link.bytes_fetched();
  report.raw_bytes = report.tokens * shape.geometry.bytes_per_token(shape.dtype);
  report.quality = 1;
  report.requests = link.requests();
  report.retries = link.retries();
  report.failures = link.failures();
  report.chunks.push_back({0, report.tokens, false, {}, true, 1.0, report.bytes_fetched});
  return report;
}

}  // namespace kvcast::player
