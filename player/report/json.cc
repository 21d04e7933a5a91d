#include <nlohmann/json.hpp>

#include "player/report.h"

namespace kvcast::player {
namespace {

using Json = nlohmann::ordered_json;

Json chunk_json(const ChunkReport& chunk) {
  Json json;
  json["tokens"] = {chunk.token_begin, chunk.token_end};
  json["source"] = chunk.recomputed ? "recompute" : "network";
  json["level"] = nullptr;
  if (chunk.level) json["level"] = *chunk.level;
  if (chunk.exact) json["level"] = "exact";
  json["quality"] = chunk.quality;
  json["bytes_fetched"] = chunk.bytes_fetched;
  return json;
}

}  // namespace

std::string report_json(const PlayReport& report) {
  Json json;
  json["ttft_slo_ms"] = report.ttft_slo_ms;
  json["ttft_ms"] = report.ttft_ms;
  json["met"] = report.met;
  json["bytes_fetched"] = report.bytes_fetched;
  json["raw_bytes"] = report.raw_bytes;
  json["recomputed_tokens"] = report.recomputed_tokens;
  json["quality"] = report.quality;
  if (report.mean_kl) json["mean_kl"] = *report.mean_kl;
  if (report.top1_agreement) json["top1_agreement"] = *report.top1_agreement;
  json["presentation"] = report.presentation;
  json["controller"] = report.controller;
  json["tokens"] = report.tokens;
  json["suffix_prefill_ms"] = report.suffix_prefill_ms;
  json["freeze_ms"] = report.freeze_ms;
  json["kv_ready_ms"] = report.kv_ready_ms;
  json["bytes_unused"] = report.bytes_unused;
  json["gpu_seconds"] = report.gpu_seconds;
  json["requests"] = report.requests;
  json["retries"] = report.retries;
  json["failures"] = report.failures;
  json["decision_max_ms"] = report.decision_max_ms;
  json["chunks"] = Json::array();
  for (const ChunkReport& chunk : report.chunks) json["chunks"].push_back(chunk_json(chunk));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string event_json(const PlayEvent& event) {
  Json json;
  json["time_ms"] = event.time_ms;
  json["what"] = event.what;
  if (event.chunk) json["chunk"] = *event.chunk;
  if (event.plane) json["plane"] = *event.plane;
  json["reason"] = event.reason;
  for (const auto& [name, value] : event.numbers) json[std::string(name)] = value;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvcast::player
