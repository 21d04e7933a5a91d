#include "player/lookup.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "manifests/layout.h"
#include "player/lookup/bisection.h"
#include "player/url.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::PrefixEntry;
using manifests::Result;

constexpr uint64_t kMaxEntryBytes = 4096;  // an entry is one short line of JSON
constexpr uint32_t kMaxProbes = 64;
constexpr std::chrono::milliseconds kStopInterval{50};
constexpr int kNotFound = 404;

struct Probe {
  uint64_t block = 0;
  std::string url;
};

class Lookup {
 public:
  Lookup(Downloader& downloader, const LookupParams& params, std::span<const uint32_t> tokens)
      : downloader_(downloader),
        params_(params),
        hashes_(manifests::prefix_hashes(params.seed, tokens)),
        bisection_(hashes_.size(), std::min(params.probes, kMaxProbes)) {}

  ~Lookup() {
    for (const auto& [id, probe] : probes_) downloader_.cancel(id);
  }

  Result<std::optional<StoredPrefix>> run(const std::stop_token& stop) {
    while (!bisection_.done()) {
      if (auto started = start_round(); !started) return started.error();
      while (!probes_.empty()) {
        if (stop.stop_requested()) return Error{ErrorKind::kUsage, "cancelled"};
        for (const DownloadEvent& event : downloader_.poll(kStopInterval)) {
          if (auto taken = take(event); !taken) return taken.error();
        }
      }
    }
    return std::exchange(found_, {});
  }

 private:
  manifests::Status start_round() {
    for (uint64_t block : bisection_.next()) {
      const std::string path =
          manifests::prefix_path(params_.tenant, params_.seed.weights, hashes_[block]);
      auto url = url_below(params_.store_url, path);
      if (!url) return url.error();
      DownloadRequest request;
      request.name = fmt::format("prefix entry of block {}", block);
      request.url = *url;
      request.size_limit_bytes = kMaxEntryBytes;
      request.priority = Priority::kUrgent;
      probes_.emplace(downloader_.start(std::move(request)), Probe{block, *std::move(url)});
    }
    return {};
  }

  manifests::Status take(const DownloadEvent& event) {
    const auto found = probes_.find(event.id);
    if (found == probes_.end()) return {};
    const Probe& probe = found->second;
    if (event.kind == DownloadEvent::Kind::kFailed) {
      if (event.http_status != kNotFound) return *event.error;
      bisection_.answer(probe.block, false);
    } else if (event.kind == DownloadEvent::Kind::kComplete) {
      if (auto kept = keep(probe, event.bytes); !kept) return kept;
      bisection_.answer(probe.block, true);
    } else {
      return {};
    }
    probes_.erase(found);
    return {};
  }

  manifests::Status keep(const Probe& probe, const std::vector<std::byte>& bytes) {
    const std::string_view json(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    Result<PrefixEntry> entry = manifests::read_prefix_entry(json, probe.url);
    if (!entry) return entry.error();
    const uint64_t tokens = (probe.block + 1) * manifests::kPrefixBlockTokens;
    if (entry->tokens != tokens || !manifests::is_valid_name(entry->presentation)) {
      return Error{ErrorKind::kCorrupt,
                   fmt::format("{}: names presentation '{}' and {} tokens where a valid name and "
                               "{} tokens belong; publish the presentation again",
                               probe.url, entry->presentation, entry->tokens, tokens)};
    }
    if (found_ && found_->entry.tokens > tokens) return {};
    auto manifest =
        url_below(params_.store_url, manifests::manifest_path(params_.tenant, entry->presentation));
    if (!manifest) return manifest.error();
    found_ = StoredPrefix{*std::move(entry), *std::move(manifest)};
    return {};
  }

  Downloader& downloader_;
  const LookupParams& params_;
  std::vector<manifests::Digest> hashes_;
  Bisection bisection_;
  std::map<DownloadId, Probe> probes_;
  std::optional<StoredPrefix> found_;
};

}  // namespace

Result<std::optional<StoredPrefix>> find_longest_prefix(Downloader& downloader,
                                                        const LookupParams& params,
                                                        std::span<const uint32_t> tokens,
                                                        std::stop_token stop) {
  if (!manifests::is_valid_name(params.tenant)) {
    return Error{ErrorKind::kUsage, "tenant '" + params.tenant +
                                        "' is no valid name: 1-64 of A-Z a-z 0-9 . _ -, not "
                                        "starting with a dot"};
  }
  return Lookup(downloader, params, tokens).run(stop);
}

}  // namespace kvcast::player
