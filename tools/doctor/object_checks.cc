#include "tools/doctor/object_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manifests/digest.h"

namespace kvcast::doctor {
namespace {

constexpr uint64_t kDay_s = 86'400;
constexpr uint64_t kFewSeconds = 10;

void add(Findings& findings, const char* check, Verdict verdict, std::string finding,
         std::string way_out = "") {
  findings.push_back({check, verdict, std::move(finding), std::move(way_out)});
}

std::optional<uint64_t> number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string said(const ProbeAnswer& answer) {
  return answer.error.empty() ? fmt::format("status {}", answer.status) : answer.error;
}

// A range's answer against the whole file.
void check_range(const Prober& prober, const Whole& whole, const char* check,
                 const std::string& range, size_t first, size_t count, Findings& findings) {
  const ProbeAnswer answer = prober({whole.url, "GET", {"Range: bytes=" + range}});
  const std::vector<std::byte>& body = whole.answer.body;
  if (answer.status == 200) {
    return add(findings, check, Verdict::kPoor, fmt::format("bytes={} is ignored", range),
               "let the server answer 206: broken transfers are resumed by range, and otherwise "
               "start over");
  }
  if (answer.status != 206) {
    return add(findings, check, Verdict::kPoor, fmt::format("bytes={}: {}", range, said(answer)),
               "allow Range requests through every proxy and cache");
  }
  const std::string expected = fmt::format("bytes {}-{}/{}", first, first + count - 1, body.size());
  const bool same =
      answer.body.size() == count && std::equal(answer.body.begin(), answer.body.end(),
                                                body.begin() + static_cast<ptrdiff_t>(first));
  if (same && answer.header("content-range") == expected) {
    return add(findings, check, Verdict::kGood, fmt::format("bytes={} comes as 206", range));
  }
  add(findings, check, Verdict::kBroken,
      fmt::format("bytes={}: {} bytes, Content-Range \"{}\" where \"{}\" is right", range,
                  answer.body.size(), answer.header("content-range"), expected),
      "serve ranges of the stored bytes: nothing may transform, compress or join them");
}

}  // namespace

std::optional<uint64_t> max_age_s(const std::string& cache_control) {
  const size_t at = cache_control.find("max-age=");
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + 8, end = cache_control.find_first_not_of("0123456789", begin);
  return number(cache_control.substr(begin, end - begin));
}

void check_bytes(const Whole& whole, Findings& findings) {
  const ProbeAnswer& answer = whole.answer;
  const auto length = number(answer.header("content-length"));
  if (!length) {
    add(findings, "content-length", Verdict::kPoor, "there is none",
        "serve stored files, not generated ones: without it a cut connection looks complete");
  } else if (*length != answer.body.size()) {
    add(findings, "content-length", Verdict::kBroken,
        fmt::format("it says {}, {} bytes came", *length, answer.body.size()),
        "find the proxy that changes bodies and switch that off");
  } else {
    add(findings, "content-length", Verdict::kGood, fmt::format("{} bytes, as said", *length));
  }
  const std::string& encoding = answer.header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    add(findings, "encoding", Verdict::kBroken, "objects come as Content-Encoding " + encoding,
        "switch compression off for .kvo: they do not shrink, and ranges go wrong");
  }
  if (!whole.expected) return;
  const manifests::Digest digest = manifests::sha256(answer.body);
  if (digest == whole.expected->digest) {
    add(findings, "digest", Verdict::kGood, "its SHA-256 is its name");
  } else {
    add(findings, "digest", Verdict::kBroken,
        fmt::format("its SHA-256 is {}, not its name", digest.hex()),
        "publish the object again and purge it from caches");
  }
}

void check_ranges(const Prober& prober, const Whole& whole, Findings& findings) {
  const size_t size = whole.answer.body.size();
  if (size < 100) return;
  check_range(prober, whole, "range", "10-59", 10, 50, findings);
  const size_t half = size / 2;
  check_range(prober, whole, "range-open", fmt::format("{}-", half), half, size - half, findings);
  check_range(prober, whole, "range-suffix", "-50", size - 50, 50, findings);
  const ProbeAnswer beyond =
      prober({whole.url, "GET", {fmt::format("Range: bytes={}-", size + 10)}});
  if (beyond.status == 416) {
    add(findings, "range-beyond", Verdict::kGood, "a range beyond the end gets 416");
  } else {
    add(findings, "range-beyond", Verdict::kPoor, "a range beyond the end gets " + said(beyond),
        "416 tells a client at once that its copy is of another length");
  }
}

void check_validators(const Prober& prober, const Whole& whole, Findings& findings) {
  const std::string& tag = whole.answer.header("etag");
  if (tag.empty() || tag.starts_with("W/")) {
    return add(findings, "etag", Verdict::kPoor,
               tag.empty() ? "there is none" : "it is weak: " + tag,
               "send a strong ETag (nginx: etag on, gzip off for objects); If-Range needs one");
  }
  add(findings, "etag", Verdict::kGood, "strong: " + tag);
  const ProbeAnswer fresh = prober({whole.url, "GET", {"If-None-Match: " + tag}});
  if (fresh.status == 304) {
    add(findings, "revalidate", Verdict::kGood, "If-None-Match gets 304");
  } else {
    add(findings, "revalidate", Verdict::kPoor, "If-None-Match gets " + said(fresh),
        "answer 304 when the ETag is the same: caches fetch everything anew otherwise");
  }
  if (whole.answer.body.size() < 100) return;
  const ProbeAnswer same = prober({whole.url, "GET", {"Range: bytes=10-59", "If-Range: " + tag}});
  const ProbeAnswer other =
      prober({whole.url, "GET", {"Range: bytes=10-59", "If-Range: \"kvcast-doctor\""}});
  if (same.status == 206 && other.status == 200) {
    add(findings, "if-range", Verdict::kGood, "206 for the same ETag, the whole for another");
  } else if (other.status == 206) {
    add(findings, "if-range", Verdict::kPoor, "a range is sent although the ETag differs",
        "honour If-Range: an object replaced in mid-download is noticed only at its end otherwise");
  } else {
    add(findings, "if-range", Verdict::kPoor, "the same ETag gets " + said(same),
        "answer 206 when the ETag is the same: resuming starts over otherwise");
  }
}

void check_caching(const Whole& whole, Findings& findings) {
  const std::string& control = whole.answer.header("cache-control");
  const auto age = max_age_s(control);
  const bool barred = control.find("no-store") != std::string::npos ||
                      control.find("private") != std::string::npos ||
                      control.find("no-cache") != std::string::npos;
  if (!barred && age && *age >= kDay_s && control.find("immutable") != std::string::npos) {
    return add(findings, "immutable", Verdict::kGood, control);
  }
  add(findings, "immutable", Verdict::kPoor,
      control.empty() ? "objects have no Cache-Control" : "objects have Cache-Control: " + control,
      "send \"Cache-Control: public, max-age=31536000, immutable\" for .kvo: a name is a digest");
}

void check_head(const Prober& prober, const Whole& whole, Findings& findings) {
  const ProbeAnswer head = prober({whole.url, "HEAD", {}});
  const auto length = number(head.header("content-length"));
  if (head.status == 200 && length == whole.answer.body.size()) {
    return add(findings, "head", Verdict::kGood, "HEAD says the same length");
  }
  add(findings, "head", Verdict::kPoor,
      head.status == 200 ? "HEAD says another length, or none" : "HEAD gets " + said(head),
      "allow HEAD: tools look before they fetch, and players warm connections by it");
}

void check_missing(const Prober& prober, const Whole& whole, Findings& findings) {
  const std::string url = whole.url.substr(0, whole.url.rfind('/') + 1) +
                          "0000000000000000000000000000000000000000000000000000000000000000.kvo";
  const ProbeAnswer missing = prober({url, "GET", {}});
  if (missing.status == 200 || missing.status == 206) {
    return add(findings, "missing", Verdict::kBroken, "what is not there gets status 200",
               "answer 404: no page in its place");
  }
  if (missing.status != 404 && missing.status != 403 && missing.status != 410) {
    return add(findings, "missing", Verdict::kPoor, "what is not there gets " + said(missing),
               "answer 404, so that players turn elsewhere at once");
  }
  const std::string& control = missing.header("cache-control");
  const auto age = max_age_s(control);
  if (control.find("no-store") != std::string::npos || (age && *age <= kFewSeconds)) {
    return add(findings, "missing", Verdict::kGood,
               fmt::format("{}, not cached ({})", missing.status, control));
  }
  add(findings, "missing", Verdict::kPoor,
      fmt::format("{} may be cached ({})", missing.status,
                  control.empty() ? "no Cache-Control" : control),
      "send \"Cache-Control: no-store\" with 404: a cached one hides what is published next");
}

void check_cors(const Whole& whole, Findings& findings) {
  const std::string& allowed = whole.answer.header("access-control-allow-origin");
  if (!allowed.empty()) {
    return add(findings, "cors", Verdict::kGood, "Access-Control-Allow-Origin: " + allowed);
  }
  add(findings, "cors", Verdict::kPoor, "other sites' pages may not read it",
      "send Access-Control-Allow-Origin if browsers are to; kvcast itself does not need it");
}

void check_connection(const Prober& prober, const Whole& whole, Examination& examination) {
  constexpr int kRounds = 5;
  Findings& findings = examination.findings;
  std::vector<double> waits;
  bool kept = true;
  ProbeAnswer answer;
  for (int i = 0; i < kRounds; ++i) {
    answer = prober({whole.url, "GET", {"Range: bytes=0-0"}});
    kept = kept && !answer.new_connection;
    waits.push_back(answer.ttfb_ms);
  }
  std::sort(waits.begin(), waits.end());
  examination.ttfb_ms = waits[waits.size() / 2];
  const ProbeAnswer again = prober({whole.url, "GET", {}});
  const double seconds = std::max(again.body_ms, 0.01) * 1e-3;
  examination.rate_bytes_per_s = static_cast<double>(again.body.size()) / seconds;
  if (kept) {
    add(findings, "keep-alive", Verdict::kGood, "connections are kept");
  } else {
    add(findings, "keep-alive", Verdict::kPoor, "every request needs a new connection",
        "switch keep-alive on: connecting costs one to three round trips per object");
  }
  const bool tls = whole.url.starts_with("https://");
  if (answer.http2) {
    add(findings, "http2", Verdict::kGood, "spoken");
  } else if (tls) {
    add(findings, "http2", Verdict::kPoor, "not offered over TLS",
        "offer h2 by ALPN: one connection then carries all transfers");
  } else {
    add(findings, "http2", Verdict::kGood, "plain http: HTTP/1.1 on several connections");
  }
  add(findings, "speed", Verdict::kGood,
      fmt::format("first byte after {:.1f} ms (median of {}), {:.4g} MB/s over {} bytes",
                  examination.ttfb_ms, kRounds, examination.rate_bytes_per_s * 1e-6,
                  again.body.size()));
}

}  // namespace kvcast::doctor
