#include "player/cmcd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::player {
namespace {

constexpr size_t kMostContentId = 64;

int64_t hundreds(double value) {
  return std::llround(std::clamp(value, 0.0, 1e15) / 100) * 100;
}

// Printable ASCII; quotes and backslashes escaped.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMostContentId)) {
    if (c < ' ' || c > '~') continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::vector<std::string> cmcd_headers(const CmcdSession& session, const CmcdRequest& request) {
  if (session.session_id.empty()) return {};
  std::vector<std::string> headers;
  std::string object;
  if (request.level) object = fmt::format("kvcast-level={},", *request.level);
  headers.push_back(fmt::format("CMCD-Object: {}ot={}", object, static_cast<char>(request.type)));

  std::string keys;
  if (request.deadline_ms) keys += fmt::format(",dl={}", hundreds(*request.deadline_ms));
  if (request.rate_bytes_per_s > 0) {
    keys += fmt::format(",mtp={}", hundreds(request.rate_bytes_per_s * 8e-3));
  }
  if (request.urgent) keys += ",su";
  if (!keys.empty()) headers.push_back("CMCD-Request: " + keys.substr(1));

  std::string content;
  if (!session.content_id.empty()) content = fmt::format("cid={},", quoted(session.content_id));
  headers.push_back(
      fmt::format("CMCD-Session: {}sf=o,sid={},st=v", content, quoted(session.session_id)));
  if (request.deadline_ms && *request.deadline_ms < 0) headers.emplace_back("CMCD-Status: bs");
  return headers;
}

}  // namespace kvcast::player
