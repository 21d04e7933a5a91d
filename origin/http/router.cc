#include "origin/http/router.h"

#include <utility>

#include "manifests/manifest.h"
#include "origin/http/date.h"
#include "origin/http/entity_tag.h"
#include "origin/http/range.h"
#include "origin/http/target.h"

namespace kvcast::origin {
namespace {

constexpr uint32_t kRetryAfterSeconds = 1;
constexpr uint64_t kMaxEntryBytes = 4096;  // manifests/prefix_format.md
constexpr std::string_view kReading = "GET, HEAD, OPTIONS",
                           kReadingAndWriting = "GET, HEAD, OPTIONS, PUT, DELETE",
                           kLooking = "POST, OPTIONS";

std::string_view methods_of(const RoutePolicy& policy) {
  return policy.takes_uploads ? kReadingAndWriting : kReading;
}
constexpr std::pair<std::string_view, Service> kServices[] = {
    {"healthz", Service::kHealth}, {"readyz", Service::kReady}, {"metrics", Service::kMetrics}};

bool has_unwanted_body(const Request& request, const RoutePolicy& policy) {
  return request.chunked || request.body_bytes > policy.max_request_body_bytes;
}

// The status that conditions ask for, or 200.
int precondition_status(const Request& request, const ResponsePlan& plan) {
  const std::string_view tag = plan.entity_tag;
  if (!request.if_match.empty()) {
    if (!any_tag_matches_strongly(request.if_match, tag)) return 412;
  } else if (const auto date = parse_http_date(request.if_unmodified_since)) {
    if (*plan.last_modified_s > *date) return 412;
  }
  if (!request.if_none_match.empty()) {
    if (any_tag_matches_weakly(request.if_none_match, tag)) return 304;
  } else if (const auto date = parse_http_date(request.if_modified_since)) {
    if (*plan.last_modified_s <= *date) return 304;
  }
  return 200;
}

// If-Range holds a tag, or a date that must be the file's own and a second old: within that second
// the file could have changed twice (RFC 9110 §8.8.2.2).
bool range_applies(const Request& request, const ResponsePlan& plan, int64_t now_s) {
  if (request.method != Method::kGet || request.range.empty()) return false;
  if (request.if_range.empty()) return true;
  if (const auto date = parse_http_date(request.if_range)) {
    return *date == *plan.last_modified_s && *date < now_s;
  }
  return request.if_range == plan.entity_tag;
}

ResponsePlan not_modified(ResponsePlan plan) {
  plan.status = 304;
  plan.content_type = plan.content_encoding = {};
  plan.body_bytes = 0;
  plan.body_first.reset();
  plan.accepts_ranges = false;
  plan.send_body = false;
  return plan;
}

ResponsePlan unsatisfiable(uint64_t file_bytes) {
  ResponsePlan plan = plain_answer(416);
  plan.range_of_bytes = file_bytes;
  plan.accepts_ranges = true;
  return plan;
}

}  // namespace

bool leaves_body_unread(const Request& request, const RoutePolicy& policy) {
  return has_unwanted_body(request, policy) || (request.expects_continue && request.body_bytes > 0);
}

int change_precondition_status(const Request& request, std::string_view entity_tag) {
  const bool exists = !entity_tag.empty();
  if (!request.if_match.empty() &&
      !(exists && any_tag_matches_strongly(request.if_match, entity_tag))) {
    return 412;
  }
  const bool is_unwanted = !request.if_none_match.empty() && exists &&
                           any_tag_matches_weakly(request.if_none_match, entity_tag);
  return is_unwanted ? 412 : 0;
}

ResponsePlan plan_refusal(const Request& request, int status, const RoutePolicy& policy) {
  ResponsePlan plan = plain_answer(status);
  plan.methods = methods_of(policy);
  plan.send_body = request.method != Method::kHead;
  plan.lists_methods = status == 405;
  if (status >= 502 && status <= 504) plan.retry_after_s = kRetryAfterSeconds;
  return plan;
}

namespace {

uint64_t most_bytes(FileKind kind, const RoutePolicy& policy) {
  switch (kind) {
    case FileKind::kManifest:
      return manifests::kMaxManifestBytes;
    case FileKind::kPrefixEntry:
      return kMaxEntryBytes;
    default:
      return policy.max_object_bytes;
  }
}

// For who may write.
Route route_change(const Request& request, const RoutePolicy& policy, const Admission& admission) {
  const std::optional<StoredName> name = parse_stored_name(admission.path);
  if (!name) return plan_refusal(request, 405, policy);
  if (request.method == Method::kDelete) {
    if (has_unwanted_body(request, policy)) return plan_refusal(request, 413);
    return RemovalRoute{*name};
  }
  if (request.chunked) return plan_refusal(request, 411);
  if (!request.content_encoding.empty()) return plan_refusal(request, 415);
  const uint64_t most = most_bytes(name->kind, policy);
  if (request.body_bytes > most) return plan_refusal(request, 413);
  if (request.content_range.empty()) return UploadRoute{*name, {}};
  const std::optional<UploadRange> range = parse_upload_range(request.content_range);
  if (!range || name->kind != FileKind::kObject || range->bytes != request.body_bytes) {
    return plan_refusal(request, 400);
  }
  if (range->total > most) return plan_refusal(request, 413);
  return UploadRoute{*name, *range};
}

Route route_lookup(const Request& request, const RoutePolicy& policy, const Admission& admission) {
  std::optional<LookupName> name = parse_lookup_name(admission.path);
  if (!name) return plan_refusal(request, 405, policy);
  if (request.chunked) return plan_refusal(request, 411);
  if (request.body_bytes > kMaxLookupHashes * sizeof(manifests::Digest)) {
    return plan_refusal(request, 413);
  }
  if (request.body_bytes % sizeof(manifests::Digest) != 0) return plan_refusal(request, 400);
  return LookupRoute{std::move(*name), admission.by_token};
}

ResponsePlan plan_preflight(const Request& request, const RoutePolicy& policy) {
  ResponsePlan plan;
  plan.status = 204;
  plan.lists_methods = plan.is_preflight = true;
  const bool is_lookup = request.target.ends_with(":longest");
  plan.methods = is_lookup ? kLooking : methods_of(policy);
  return plan;
}

}  // namespace

Route route(const Request& request, const RoutePolicy& policy, const AccessRules& access,
            int64_t now_s, LoggedTarget& logged) {
  const bool is_guarded = access.keys != nullptr;
  if (!is_guarded) logged.path = request.target;
  const bool changes = request.method == Method::kPut || request.method == Method::kDelete;
  const bool looks_up = request.method == Method::kPost;
  if (request.method == Method::kOther || (changes && !policy.takes_uploads)) {
    return plan_refusal(request, 405, policy);
  }
  if (!changes && !looks_up && has_unwanted_body(request, policy)) {
    return plan_refusal(request, 413);
  }
  if (request.method == Method::kOptions) return plan_preflight(request, policy);
  Target target = parse_target(request.target);
  if (target.error_status != 0) return plan_refusal(request, target.error_status);
  for (const auto& [path, service] : kServices) {
    if (target.path != path || target.is_folder || changes || looks_up) continue;
    if (service == Service::kMetrics && !policy.shows_metrics) continue;
    if (is_guarded) logged.path = '/' + target.path;
    return service;
  }
  Admission admission =
      admit(std::move(target), request.authorization, access, now_s, changes ? 'w' : 'r');
  if (is_guarded) logged = {'/' + admission.path, admission.key_id};
  if (admission.error_status != 0) return plan_refusal(request, admission.error_status);
  if (changes) return route_change(request, policy, admission);
  if (looks_up) return route_lookup(request, policy, admission);
  if (admission.is_tenant_root) {
    ResponsePlan plan;
    plan.status = 204;
    return plan;
  }
  return FileRoute{std::move(admission)};
}

ResponsePlan plan_file(const Request& request, const FileFacts& file, int64_t now_s,
                       bool is_private) {
  ResponsePlan plan;
  plan.is_of_file = true;
  plan.content_type = file.content_type;
  plan.content_encoding = file.content_encoding;
  plan.varies_by_encoding = file.varies_by_encoding;
  plan.body_bytes = file.bytes;
  plan.body_first = 0;
  plan.send_body = request.method != Method::kHead;
  plan.accepts_ranges = true;
  plan.entity_tag = file.entity_tag;
  plan.last_modified_s = file.last_modified_s;
  plan.last_modified = file.last_modified;
  plan.cache_control = is_private ? cache_control(file.kind, is_private) : file.cache_control;

  const int status = precondition_status(request, plan);
  if (status == 304) return not_modified(std::move(plan));
  if (status == 412) return plan_refusal(request, 412);
  if (!range_applies(request, plan, now_s)) return plan;
  const RangeChoice choice = choose_range(request.range, file.bytes);
  if (choice.kind == RangeChoice::Kind::kUnsatisfiable) return unsatisfiable(file.bytes);
  if (choice.kind == RangeChoice::Kind::kPart) {
    plan.status = 206;
    plan.body_first = choice.first;
    plan.body_bytes = choice.bytes;
    plan.range_of_bytes = file.bytes;
  }
  return plan;
}

ResponsePlan plan_text(const Request& request, int status, std::string_view content_type) {
  ResponsePlan plan;
  plan.status = status;
  plan.content_type = content_type;
  plan.send_body = request.method != Method::kHead;
  return plan;
}

}  // namespace kvcast::origin
