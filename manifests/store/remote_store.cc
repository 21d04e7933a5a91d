#include "manifests/store/remote_store.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <thread>
#include <utility>

#include "manifests/file.h"
#include "manifests/store/xml.h"

namespace kvcast::manifests {
namespace {

constexpr std::chrono::milliseconds kNap{100};
constexpr size_t kMaxShownBytes = 500;  // of what an origin says

bool is_success(int status) {
  return status >= 200 && status < 300;
}

StoredFacts facts_of(const HttpResponse& response) {
  return {response.content_length.value_or(0), response.entity_tag};
}

// What a user can do about it.
const char* way_out(int status, bool is_s3) {
  if (status == 401 || status == 403) {
    return is_s3 ? "; check the keys, the region and what the bucket's policy allows"
                 : "; check the bearer token (--bearer-file or KVCAST_BEARER_TOKEN)";
  }
  if (status == 404) return "; check that the bucket or the prefix exists";
  if (status == 405) return "; does this server take uploads (kvcast serve --ingest)?";
  if (status == 301 || status == 307)
    return "; the bucket is in another region or at another "
           "endpoint: see --endpoint and --region";
  return "";
}

}  // namespace

RemoteStore::RemoteStore(RemoteStoreParams params)
    : params_(std::move(params)), http_(params_.http) {}

Result<StagedFile> RemoteStore::stage(const std::string& /*folder*/) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return io_error("TMPDIR", "find the folder of temporary files", error.value());
  return StagedFile::create(folder.native(), ".kvcast-upload-");
}

void RemoteStore::abandon() {
  abandoned_ = true;
  http_.abandon();
}

bool RemoteStore::is_worth_another(const HttpResponse& response) const {
  if (response.sink_error) return false;
  if (response.status < 300) return response.is_retryable;
  // 409: S3's answer to two conditional writes of one name at one time.
  return is_retryable_status(response.status) || (is_s3() && response.status == 409);
}

bool RemoteStore::wait_before(unsigned attempt, const HttpResponse& response) const {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto delay = retry_delay(params_.retry, attempt, response.retry_after,
                                 static_cast<uint32_t>(random()) << 1);
  if (!delay) return false;
  if (params_.sleep) {
    params_.sleep(*delay);
    return !abandoned_;
  }
  const auto until = std::chrono::steady_clock::now() + *delay;
  while (!abandoned_ && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::min(*delay, kNap));
  }
  return !abandoned_;
}

HttpResponse RemoteStore::ask(const HttpRequest& request) {
  for (unsigned attempt = 1;; ++attempt) {
    HttpResponse response = http_.perform(request);
    const bool answered =
        is_success(response.status) ? response.trouble.empty() : response.status >= 300;
    const bool again = answered ? is_retryable_status(response.status) : response.is_retryable;
    if (!again || response.sink_error || !wait_before(attempt, response)) return response;
  }
}

Error RemoteStore::error_of(const char* what, const std::string& path,
                            const HttpResponse& response) const {
  std::string message = params_.name + ": cannot " + what + " " + path + ": ";
  if (response.status >= 300) {
    message += "HTTP status " + std::to_string(response.status);
    const std::string code = xml_text(response.body, "Code");
    const std::string said = xml_text(response.body, "Message");
    if (!code.empty()) message += " " + code;
    if (!said.empty()) message += " (" + said + ")";
    if (!is_s3() && response.body.size() <= kMaxShownBytes) message += ": " + response.body;
    while (message.ends_with('\n')) message.pop_back();
    message += way_out(response.status, is_s3());
  } else if (!response.trouble.empty()) {
    message += response.trouble;
  } else {
    message += "HTTP status " + std::to_string(response.status) + " was not expected";
  }
  return {ErrorKind::kIo, std::move(message)};
}

Result<std::optional<StoredFacts>> RemoteStore::look(const std::string& path) {
  const HttpResponse response = ask({.method = "HEAD", .url = url_of(path)});
  if (response.status == 404) return std::optional<StoredFacts>();
  // Who may write to an origin may not always read from it.
  const bool is_closed = response.status == 401 || response.status == 403 || response.status == 405;
  if (!is_s3() && is_closed) return std::optional<StoredFacts>();
  if (response.status == 200 && response.trouble.empty()) return std::optional(facts_of(response));
  return error_of("look for", path, response);
}

Result<ReadOutcome> RemoteStore::read(const std::string& path, const std::string& known_tag,
                                      const Sink& sink) {
  ReadOutcome outcome{ReadOutcome::Kind::kRead, {}};
  uint64_t have = 0;
  for (unsigned attempt = 1;; ++attempt) {
    HttpRequest request{.method = "GET", .url = url_of(path)};
    const bool goes_on = have > 0;  // from where an earlier attempt broke off
    if (goes_on) {
      request.range_first = have;
      if (!outcome.facts.tag.empty()) request.headers = {"If-Match: " + outcome.facts.tag};
    } else if (!known_tag.empty()) {
      request.headers = {"If-None-Match: " + known_tag};
    }
    uint64_t skip = have;  // of a whole answer to a request for the rest
    request.sink = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
      if (!goes_on) outcome.facts.tag = head.entity_tag;
      const size_t known = head.status == 206 ? 0 : std::min<uint64_t>(skip, bytes.size());
      skip -= known;
      have += bytes.size() - known;
      return sink(bytes.subspan(known));
    };
    const HttpResponse response = http_.perform(request);
    if (response.sink_error) return *response.sink_error;
    if (!goes_on && response.status == 404) return ReadOutcome{};
    if (!goes_on && response.status == 304) {
      return ReadOutcome{ReadOutcome::Kind::kUnchanged, {0, known_tag}};
    }
    const bool is_expected = response.status == 200 || (goes_on && response.status == 206);
    if (is_expected && response.trouble.empty()) {
      outcome.facts = {have, response.entity_tag};
      return outcome;
    }
    if (!is_worth_another(response) || !wait_before(attempt, response)) {
      return error_of("read", path, response);
    }
  }
}

Result<bool> RemoteStore::remove(const std::string& path) {
  // S3 answers 204 whether there was one or not.
  bool was_there = true;
  if (is_s3()) {
    const auto found = look(path);
    if (!found.ok()) return found.error();
    was_there = found->has_value();
  }
  const HttpResponse response = ask({.method = "DELETE", .url = url_of(path)});
  if (response.status == 404) return false;
  if (!is_success(response.status)) return error_of("remove", path, response);
  return was_there;
}

Status RemoteStore::list(const std::string& prefix, const Visit& visit) {
  if (!is_s3()) {
    return Error{ErrorKind::kUsage, params_.name + ": an origin does not list what it holds"};
  }
  std::string token;
  do {
    std::string query = "?";
    if (!token.empty()) query += "continuation-token=" + percent_encoded(token) + "&";
    query += "list-type=2&prefix=" + percent_encoded(params_.key_prefix + prefix);
    const HttpResponse response = ask({.method = "GET", .url = params_.bucket_url + query});
    if (response.status != 200 || !response.trouble.empty()) {
      return error_of("list", prefix, response);
    }
    if (response.content_length.value_or(0) > response.body.size()) {
      return Error{ErrorKind::kCorrupt,
                   params_.name + ": a page of the list of " + prefix + "* is too long"};
    }
    for (const std::string& entry : xml_elements(response.body, "Contents")) {
      const std::string key = xml_text(entry, "Key");
      if (!key.starts_with(params_.key_prefix)) continue;
      const Status visited = visit({key.substr(params_.key_prefix.size()),
                                    xml_number(entry, "Size"), xml_time(entry, "LastModified")});
      if (!visited.ok()) return visited;
    }
    std::string next = xml_text(response.body, "NextContinuationToken");
    if (!next.empty() && next == token) {
      return Error{ErrorKind::kCorrupt,
                   params_.name + ": the list of " + prefix + "* does not go on: twice " + next};
    }
    token = std::move(next);
  } while (!token.empty());
  return {};
}

}  // namespace kvcast::manifests
