#include "tools/doctor/examination.h"

#include <fmt/format.h>

#include "manifests/layout.h"
#include "manifests/manifest.h"
#include "player/url.h"
#include "tools/doctor/object_checks.h"

namespace kvcast::doctor {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr uint64_t kHour_s = 3600;
const char* const kOrigin = "Origin: https://kvcast.invalid";

Result<ProbeAnswer> fetch(const Prober& prober, const std::string& url) {
  ProbeAnswer answer = prober({url, "GET", {kOrigin}});
  if (!answer.error.empty()) return Error{ErrorKind::kIo, url + ": " + answer.error};
  if (answer.status != 200) {
    const char* redirect = answer.status >= 300 && answer.status < 400
                               ? "; give the URL that it redirects to"
                               : "; check the URL, and credentials if it needs them";
    return Error{ErrorKind::kIo, fmt::format("{}: HTTP status {}{}", url, answer.status, redirect)};
  }
  return answer;
}

const manifests::ObjectRef& largest(const manifests::Manifest& manifest) {
  const manifests::ObjectRef* best = &manifest.profile;
  for (const manifests::ChunkEntry& chunk : manifest.chunks) {
    for (const manifests::PlaneRef& plane : chunk.planes) {
      if (plane.bytes > best->bytes) best = &plane;
    }
  }
  return *best;
}

void check_manifest(const Prober& prober, const std::string& url, const ProbeAnswer& plain,
                    Findings& findings) {
  const ProbeAnswer packed = prober({url, "GET", {"Accept-Encoding: gzip"}});
  if (packed.header("content-encoding") == "gzip") {
    findings.push_back(
        {"manifest-gzip", Verdict::kGood,
         fmt::format("{} bytes instead of {}", packed.body.size(), plain.body.size()), ""});
  } else {
    findings.push_back({"manifest-gzip", Verdict::kPoor,
                        fmt::format("the manifest comes uncompressed, {} bytes", plain.body.size()),
                        "compress application/json: nothing can be planned before it is here"});
  }
  const std::string& control = plain.header("cache-control");
  const bool lasting =
      control.find("immutable") != std::string::npos || max_age_s(control).value_or(0) > kHour_s;
  if (lasting) {
    findings.push_back({"manifest-caching", Verdict::kPoor, "Cache-Control: " + control,
                        "keep manifests for seconds to minutes: they change when contexts grow"});
  } else {
    findings.push_back({"manifest-caching", Verdict::kGood,
                        control.empty() ? "no Cache-Control: revalidated" : control, ""});
  }
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kPoor:
      return "poor";
    case Verdict::kBroken:
      break;
  }
  return "broken";
}

Result<Examination> examine(const Prober& prober, const std::string& url) {
  Examination examination;
  auto first = fetch(prober, url);
  if (!first) return first.error();
  Whole whole{url, std::move(*first), {}};
  const auto* text = reinterpret_cast<const char*>(whole.answer.body.data());
  const std::string_view body(text, whole.answer.body.size());
  const size_t start = body.find_first_not_of(" \t\r\n");
  if (start != std::string_view::npos && body[start] == '{') {
    const auto manifest = manifests::read_manifest(body, url);
    if (!manifest) return manifest.error();
    check_manifest(prober, url, whole.answer, examination.findings);
    const manifests::ObjectRef object = largest(*manifest);
    const std::string base = manifest->base_urls.empty() ? "../" : manifest->base_urls.front().url;
    const auto folder = player::resolve_url(url, base.ends_with('/') ? base : base + "/");
    if (!folder) return folder.error();
    whole.url = *folder + manifests::object_path_in_tenant(object.digest);
    auto answer = fetch(prober, whole.url);
    if (!answer) return answer.error();
    whole.answer = std::move(*answer);
    whole.expected = object;
  }
  examination.object_url = whole.url;
  Findings& findings = examination.findings;
  check_bytes(whole, findings);
  check_ranges(prober, whole, findings);
  check_validators(prober, whole, findings);
  check_caching(whole, findings);
  check_head(prober, whole, findings);
  check_missing(prober, whole, findings);
  check_cors(whole, findings);
  check_connection(prober, whole, examination);
  return examination;
}

}  // namespace kvcast::doctor
