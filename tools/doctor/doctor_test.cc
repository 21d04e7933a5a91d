#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "manifests/digest.h"
#include "tools/doctor/object_checks.h"

namespace kvcast::doctor {
namespace {

using player::ProbeRequest;

constexpr char kUrl[] = "http://h.test/t/public/o/ab/object.kvo";

// A server that does everything right; a test spoils one thing.
class Server {
 public:
  std::vector<std::byte> object;
  std::function<void(const ProbeRequest&, ProbeAnswer&)> spoil = [](const ProbeRequest&,
                                                                    ProbeAnswer&) {};

  Server() {
    for (int i = 0; i < 1000; ++i) object.push_back(static_cast<std::byte>(i * 7));
  }

  ProbeAnswer answer(const ProbeRequest& request) const {
    ProbeAnswer answer;
    answer.headers = {{"etag", "\"e1\""},
                      {"cache-control", "public, max-age=31536000, immutable"},
                      {"access-control-allow-origin", "*"}};
    if (request.url != kUrl) {
      answer.status = 404;
      answer.headers["cache-control"] = "no-store";
    } else {
      answer.status = 200;
      answer.body = object;
      if (has(request, "If-None-Match: \"e1\"")) {
        answer.status = 304;
        answer.body.clear();
      }
      range(request, answer);
    }
    answer.headers["content-length"] = std::to_string(answer.body.size());
    if (request.method == "HEAD") answer.body.clear();
    spoil(request, answer);
    return answer;
  }

  static bool has(const ProbeRequest& request, const std::string& header) {
    return std::find(request.headers.begin(), request.headers.end(), header) !=
           request.headers.end();
  }

 private:
  void range(const ProbeRequest& request, ProbeAnswer& answer) const {
    if (has(request, "If-Range: \"kvcast-doctor\"")) return;
    for (const std::string& header : request.headers) {
      if (!header.starts_with("Range: bytes=")) continue;
      const std::string spec = header.substr(13);
      const size_t dash = spec.find('-');
      size_t first =
          dash == 0 ? object.size() - std::stoul(spec.substr(1)) : std::stoul(spec.substr(0, dash));
      size_t last = object.size() - 1;
      if (dash != 0 && dash + 1 < spec.size()) last = std::stoul(spec.substr(dash + 1));
      if (first >= object.size()) {
        answer.status = 416;
        answer.body.clear();
        return;
      }
      answer.status = 206;
      answer.headers["content-range"] = "bytes " + std::to_string(first) + "-" +
                                        std::to_string(last) + "/" + std::to_string(object.size());
      answer.body.assign(object.begin() + static_cast<ptrdiff_t>(first),
                         object.begin() + static_cast<ptrdiff_t>(last) + 1);
    }
  }
};

Examination examine_object(const Server& server) {
  const auto seen =
      examine([&](const ProbeRequest& request) { return server.answer(request); }, kUrl);
  EXPECT_TRUE(seen.ok());
  return *seen;
}

// The verdict of one check, and that all others are good.
Verdict only(const Examination& seen, const std::string& check, bool others_good = true) {
  std::optional<Verdict> verdict;
  for (const Finding& finding : seen.findings) {
    if (finding.check == check) {
      verdict = finding.verdict;
    } else if (others_good) {
      EXPECT_EQ(finding.verdict, Verdict::kGood) << finding.check << ": " << finding.finding;
    }
    EXPECT_EQ(finding.way_out.empty(), finding.verdict == Verdict::kGood) << finding.check;
  }
  EXPECT_TRUE(verdict.has_value()) << check;
  return verdict.value_or(Verdict::kGood);
}

bool ranged(const ProbeRequest& request) {
  return std::any_of(request.headers.begin(), request.headers.end(),
                     [](const std::string& header) { return header.starts_with("Range:"); });
}

TEST(Doctor, FindsNothingWrongWithAGoodServer) {
  const Server server;
  const Examination seen = examine_object(server);
  EXPECT_EQ(only(seen, "range"), Verdict::kGood);
  for (const char* check :
       {"content-length", "range-open", "range-suffix", "range-beyond", "etag", "revalidate",
        "if-range", "immutable", "head", "missing", "cors", "keep-alive", "http2", "speed"}) {
    EXPECT_EQ(only(seen, check), Verdict::kGood) << check;
  }
}

TEST(Doctor, IgnoredRangesArePoorAndWrongOnesBroken) {
  Server server;
  server.spoil = [&](const ProbeRequest& request, ProbeAnswer& answer) {
    if (!ranged(request) || answer.status != 206) return;
    answer.status = 200;
    answer.body = server.object;
  };
  EXPECT_EQ(only(examine_object(server), "range", false), Verdict::kPoor);
  server.spoil = [](const ProbeRequest& request, ProbeAnswer& answer) {
    if (Server::has(request, "Range: bytes=10-59") && request.headers.size() == 1) {
      answer.body[3] ^= std::byte{1};
    }
  };
  EXPECT_EQ(only(examine_object(server), "range"), Verdict::kBroken);
  server.spoil = [](const ProbeRequest& request, ProbeAnswer& answer) {
    if (Server::has(request, "Range: bytes=-50"))
      answer.headers["content-range"] = "bytes 0-49/1000";
  };
  EXPECT_EQ(only(examine_object(server), "range-suffix"), Verdict::kBroken);
}

TEST(Doctor, NamesWhateverIsSpoiled) {
  struct Case {
    const char* check;
    Verdict verdict;
    std::function<void(const ProbeRequest&, ProbeAnswer&)> spoil;
  };
  const auto plain = [](const ProbeRequest& request) {
    return request.method == "GET" && request.url == kUrl && !ranged(request);
  };
  const Case cases[] = {
      {"content-length", Verdict::kBroken,
       [&](const ProbeRequest& r, ProbeAnswer& a) {
         if (plain(r) && a.status == 200) a.headers["content-length"] = "999";
       }},
      {"content-length", Verdict::kPoor,
       [&](const ProbeRequest& r, ProbeAnswer& a) {
         if (plain(r)) a.headers.erase("content-length");
       }},
      {"encoding", Verdict::kBroken,
       [](const ProbeRequest&, ProbeAnswer& a) { a.headers["content-encoding"] = "gzip"; }},
      {"revalidate", Verdict::kPoor,
       [](const ProbeRequest&, ProbeAnswer& a) {
         if (a.status == 304) a.status = 200;
       }},
      {"if-range", Verdict::kPoor,
       [](const ProbeRequest& r, ProbeAnswer& a) {
         if (Server::has(r, "If-Range: \"kvcast-doctor\"")) a.status = 206;
       }},
      {"immutable", Verdict::kPoor,
       [](const ProbeRequest& r, ProbeAnswer& a) {
         if (r.url == kUrl) a.headers["cache-control"] = "private, max-age=31536000, immutable";
       }},
      {"head", Verdict::kPoor,
       [](const ProbeRequest& r, ProbeAnswer& a) {
         if (r.method == "HEAD") a.status = 405;
       }},
      {"missing", Verdict::kBroken,
       [](const ProbeRequest&, ProbeAnswer& a) {
         if (a.status == 404) a.status = 200;
       }},
      {"missing", Verdict::kPoor,
       [](const ProbeRequest&, ProbeAnswer& a) {
         if (a.status == 404) a.headers["cache-control"] = "max-age=600";
       }},
      {"cors", Verdict::kPoor,
       [](const ProbeRequest&, ProbeAnswer& a) { a.headers.erase("access-control-allow-origin"); }},
      {"keep-alive", Verdict::kPoor,
       [](const ProbeRequest&, ProbeAnswer& a) { a.new_connection = true; }},
      {"range-beyond", Verdict::kPoor,
       [](const ProbeRequest&, ProbeAnswer& a) {
         if (a.status == 416) a.status = 500;
       }},
  };
  for (const Case& each : cases) {
    Server server;
    server.spoil = each.spoil;
    EXPECT_EQ(only(examine_object(server), each.check), each.verdict) << each.check;
  }
}

TEST(Doctor, WeakTagsArePoor) {
  Server server;
  server.spoil = [](const ProbeRequest&, ProbeAnswer& a) { a.headers["etag"] = "W/\"e1\""; };
  EXPECT_EQ(only(examine_object(server), "etag"), Verdict::kPoor);
}

TEST(Doctor, SaysWhenItCannotLook) {
  const auto gone = examine(
      [](const ProbeRequest&) {
        ProbeAnswer answer;
        answer.error = "connection refused";
        return answer;
      },
      kUrl);
  ASSERT_FALSE(gone.ok());
  EXPECT_NE(gone.error().message.find("connection refused"), std::string::npos);
  const auto no_manifest = examine(
      [](const ProbeRequest&) {
        ProbeAnswer answer;
        answer.status = 200;
        answer.body = {std::byte{'{'}};
        return answer;
      },
      "http://h.test/m.json");
  EXPECT_FALSE(no_manifest.ok());
}

TEST(Doctor, ReadsMaxAge) {
  EXPECT_EQ(max_age_s("public, max-age=31536000, immutable"), 31536000u);
  EXPECT_EQ(max_age_s("max-age=0"), 0u);
  EXPECT_FALSE(max_age_s("no-store").has_value());
  EXPECT_FALSE(max_age_s("max-age=").has_value());
  EXPECT_FALSE(max_age_s("max-age=99999999999999999999999").has_value());
}

}  // namespace
}  // namespace kvcast::doctor
