// What a request gets: from the router's decision and the files to an answer that can be sent.
#include <unistd.h>

#include <utility>
#include <variant>

#include "origin/http/gzip.h"
#include "origin/net/session.h"

namespace kvcast::origin {

Route Session::choose() {
  RoutePolicy policy = shared_.policy;
  policy.shows_metrics = policy.shows_metrics || audience_ == Audience::kOperator;
  policy.takes_uploads = policy.takes_uploads && audience_ == Audience::kPublic;
  const std::shared_ptr<const TokenKeys> keys = shared_.token_keys.get();
  Route chosen =
      route(request_, policy, {keys.get(), shared_.open_tenants}, local_.dates.now_s(), logged_);
  // A cache does not know all that its store holds: players look by themselves then.
  if (shared_.through && std::holds_alternative<LookupRoute>(chosen)) {
    return plan_refusal(request_, 405, policy);
  }
  return chosen;
}

Session::Answer Session::answer(Route chosen) {
  if (const auto* service = std::get_if<Service>(&chosen)) return answer_service(*service);
  Answer reply;
  if (auto* plan = std::get_if<ResponsePlan>(&chosen)) {
    reply.plan = std::move(*plan);
    return reply;
  }
  const auto* const file = std::get_if<FileRoute>(&chosen);
  if (file != nullptr && audience_ == Audience::kPublic) return answer_file(file->admission);
  reply.plan = plan_refusal(request_, 404);
  return reply;
}

Session::Answer Session::answer_file(const Admission& admission) {
  FileCache::Found found = local_.files.open(admission.path, started_);
  CacheUse use = CacheUse::kNone;
  if (shared_.through && (found.error_status == 0 || found.error_status == 404)) {
    const auto allowed = use_of_cache(admission.path, found.file.get());
    if (!allowed) {
      Answer later;
      later.fetch_first = admission;
      return later;
    }
    use = *allowed;
  }
  if (found.error_status == 0) return answer_found(admission, std::move(found.file), use);
  Answer reply;
  reply.plan = plan_refusal(request_, found.error_status);
  return reply;
}

Session::Answer Session::answer_found(const Admission& admission, std::shared_ptr<CachedFile> file,
                                      CacheUse use) {
  Answer reply;
  reply.file = std::move(file);
  const bool packed = reply.file->facts.varies_by_encoding &&
                      accepts_gzip(request_.accept_encoding) &&
                      FileCache::provide_gzip(*reply.file);
  if (packed) reply.memory = reply.file->gzip;
  reply.plan = plan_file(request_, packed ? reply.file->gzip_facts : reply.file->facts,
                         local_.dates.now_s(), admission.by_token);
  reply.plan.cache_use = use;
  return reply;
}

Session::Answer Session::answer_service(Service service) {
  Answer reply;
  reply.paced = false;
  int status = 200;
  const char* type = "text/plain; charset=utf-8";
  if (service == Service::kMetrics) {
    type = kMetricsType;
    const ServerGauges gauges{shared_.connections, shared_.limits.max_connections,
                              shared_.access_log ? shared_.access_log->dropped_lines() : 0,
                              shared_.draining};
    reply.text = metrics_text(shared_.metrics, gauges);
    if (shared_.through) reply.text += shared_.through->metrics_text();
  } else if (service == Service::kReady && (shared_.draining || !shared_.root.is_there())) {
    status = 503;
    reply.text = shared_.draining ? "draining\n" : "the directory is gone\n";
  } else {
    reply.text = "ok\n";
  }
  reply.plan = plan_text(request_, status, type);
  reply.plan.body_bytes = reply.text.size();
  return reply;
}

// False if the file has become shorter than it was.
bool Session::append_small_body(const Answer& reply, std::string& to) const {
  const size_t bytes = reply.plan.body_bytes, before = to.size();
  to.resize(before + bytes);
  for (size_t have = 0; have < bytes;) {
    const ssize_t got = ::pread(reply.file->descriptor.get(), to.data() + before + have,
                                bytes - have, static_cast<off_t>(*reply.plan.body_first + have));
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace kvcast::origin
