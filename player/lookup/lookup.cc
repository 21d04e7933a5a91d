#include "player/lookup.h"

#include <fmt/format.h>

#include <algorithm>
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
// Of one question to the store (manifests/prefix_format.md), and the answer when it has none.
constexpr size_t kMaxAskedBlocks = 65536;
constexpr std::string_view kNothingStored = "{\"kvcast\":1,\"tokens\":0}";

struct Question {
  DownloadId id = 0;
  std::string url;
};

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
    if (question_) downloader_.cancel(question_->id);
    for (const auto& [id, probe] : probes_) downloader_.cancel(id);
  }

  Result<LongestPrefix> run(const std::stop_token& stop) {
    if (auto asked = ask_store(); !asked) return asked.error();
    while (!bisection_.done() && !is_answered_) {
      if (auto started = start_round(); !started) return started.error();
      while (!probes_.empty() && !is_answered_) {
        if (stop.stop_requested()) return Error{ErrorKind::kUsage, "cancelled"};
        for (const DownloadEvent& event : downloader_.poll(kStopInterval)) {
          if (auto taken = take(event); !taken) return taken.error();
        }
      }
    }
    return LongestPrefix{std::exchange(found_, {}),
                         is_answered_ ? "by the store's lookup" : "by GETs: " + why_not_};
  }

 private:
  // Where one round of GETs may not do.
  manifests::Status ask_store() {
    if (!params_.ask_store || hashes_.size() <= std::max(params_.probes, 1u)) {
      why_not_ = "one round of them, or the store's lookup is not wanted";
      return {};
    }
    if (hashes_.size() > kMaxAskedBlocks) {
      why_not_ = fmt::format("more than {} blocks", kMaxAskedBlocks);
      return {};
    }
    auto url =
        url_below(params_.store_url, manifests::lookup_path(params_.tenant, params_.seed.weights));
    if (!url) return url.error();
    DownloadRequest request;
    request.name = "lookup of the longest prefix";
    request.url = *url;
    request.size_limit_bytes = kMaxEntryBytes;
    request.priority = Priority::kUrgent;
    const auto bytes = std::as_bytes(std::span(hashes_));
    request.post.emplace(bytes.begin(), bytes.end());
    question_ = Question{downloader_.start(std::move(request)), *std::move(url)};
    why_not_ = "they were faster than the store's lookup";
    return {};
  }

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
    if (question_ && event.id == question_->id) {
      take_answer(event);
      return {};
    }
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

  // What is no answer leaves the search to the GETs.
  void take_answer(const DownloadEvent& event) {
    if (event.kind == DownloadEvent::Kind::kFailed) {
      why_not_ = "the store's lookup answered: " + event.reason;
    } else if (event.kind == DownloadEvent::Kind::kComplete) {
      const std::string_view json(reinterpret_cast<const char*>(event.bytes.data()),
                                  event.bytes.size());
      auto answer = read_answer(json);
      is_answered_ = answer.ok();
      if (answer.ok()) {
        found_ = *std::move(answer);
      } else {
        why_not_ = answer.error().message;
      }
    } else {
      return;
    }
    question_.reset();
  }

  Result<std::optional<StoredPrefix>> read_answer(std::string_view json) const {
    if (json.substr(0, json.find('\n')) == kNothingStored) return std::optional<StoredPrefix>();
    Result<PrefixEntry> entry = manifests::read_prefix_entry(json, question_->url);
    if (!entry) return entry.error();
    const uint64_t most = hashes_.size() * manifests::kPrefixBlockTokens;
    if (entry->tokens > most || !manifests::is_valid_name(entry->presentation)) {
      return Error{ErrorKind::kCorrupt,
                   fmt::format("{}: names presentation '{}' and {} tokens of {}", question_->url,
                               entry->presentation, entry->tokens, most)};
    }
    return with_manifest(*std::move(entry));
  }

  Result<std::optional<StoredPrefix>> with_manifest(PrefixEntry entry) const {
    auto manifest =
        url_below(params_.store_url, manifests::manifest_path(params_.tenant, entry.presentation));
    if (!manifest) return manifest.error();
    return std::optional(StoredPrefix{std::move(entry), *std::move(manifest)});
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
    auto stored = with_manifest(*std::move(entry));
    if (!stored) return stored.error();
    found_ = *std::move(stored);
    return {};
  }

  Downloader& downloader_;
  const LookupParams& params_;
  std::vector<manifests::Digest> hashes_;
  Bisection bisection_;
  std::optional<Question> question_;  // to the store, as long as it is open
  bool is_answered_ = false;
  std::string why_not_;
  std::map<DownloadId, Probe> probes_;
  std::optional<StoredPrefix> found_;
};

}  // namespace

Result<LongestPrefix> find_longest_prefix(Downloader& downloader, const LookupParams& params,
                                          std::span<const uint32_t> tokens, std::stop_token stop) {
  if (!manifests::is_valid_name(params.tenant)) {
    return Error{ErrorKind::kUsage, "tenant '" + params.tenant +
                                        "' is no valid name: 1-64 of A-Z a-z 0-9 . _ -, not "
                                        "starting with a dot"};
  }
  return Lookup(downloader, params, tokens).run(stop);
}

}  // namespace kvcast::player
