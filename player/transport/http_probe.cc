#include "player/http_probe.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <new>
#include <span>
#include <string_view>

#include "player/transport/credentials.h"
#include "player/transport/curl_transfer.h"

namespace kvcast::player {
namespace {

constexpr size_t kMaxBodyBytes = 256u << 20;
constexpr long kConnectLimitMs = 5000;
constexpr long kLimitMs = 60'000;

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

size_t on_header(char* data, size_t size, size_t count, void* self) {
  auto& answer = *static_cast<ProbeAnswer*>(self);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) answer.headers.clear();
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    answer.headers[name] = trim(line.substr(colon + 1));
  }
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* self) {
  auto& answer = *static_cast<ProbeAnswer*>(self);
  const auto bytes = std::as_bytes(std::span(data, size * count));
  if (bytes.size() > kMaxBodyBytes - answer.body.size()) {
    answer.too_long = true;
    return 0;
  }
  answer.body.insert(answer.body.end(), bytes.begin(), bytes.end());
  return size * count;
}

double milliseconds(CURL* easy, CURLINFO what) {
  curl_off_t us = 0;
  curl_easy_getinfo(easy, what, &us);
  return static_cast<double>(us) * 1e-3;
}

}  // namespace

const std::string& ProbeAnswer::header(const std::string& name) const {
  static const std::string kNone;
  const auto found = headers.find(name);
  return found == headers.end() ? kNone : found->second;
}

struct CurlProber::State {
  CurlTransportParams params;
  CURL* easy = nullptr;
};

CurlProber::CurlProber(CurlTransportParams params) : state_(std::make_unique<State>()) {
  const CurlTransport sets_libcurl_up;
  state_->params = std::move(params);
  state_->easy = curl_easy_init();
  if (state_->easy == nullptr) throw std::bad_alloc();
}

CurlProber::~CurlProber() {
  curl_easy_cleanup(state_->easy);
}

ProbeAnswer CurlProber::probe(const ProbeRequest& request) {
  CURL* easy = state_->easy;
  curl_easy_reset(easy);  // connections stay
  ProbeAnswer answer;
  std::vector<std::string> headers = request.headers;
  if (!set_connection_options(easy, state_->params)) {
    answer.error = "libcurl refused an option";
    return answer;
  }
  if (trusts(state_->params.credentials, request.url)) {
    add_credentials(state_->params.credentials, easy, headers);
  }
  curl_slist* list = nullptr;
  for (const std::string& header : headers) list = curl_slist_append(list, header.c_str());
  char why[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, &why[0]);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectLimitMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kLimitMs);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (request.method != "GET" && request.method != "HEAD") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  const CURLcode code = curl_easy_perform(easy);
  curl_slist_free_all(list);
  long status = 0, version = 0, connects = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  answer.status = static_cast<int>(status);
  answer.http2 = version == CURL_HTTP_VERSION_2_0;
  answer.new_connection = connects > 0;
  const double ready = milliseconds(easy, CURLINFO_PRETRANSFER_TIME_T);
  const double first = milliseconds(easy, CURLINFO_STARTTRANSFER_TIME_T);
  answer.connect_ms = ready;
  answer.ttfb_ms = std::max(first - ready, 0.0);
  answer.body_ms = std::max(milliseconds(easy, CURLINFO_TOTAL_TIME_T) - first, 0.0);
  if (code != CURLE_OK && !answer.too_long) {
    answer.error = why[0] != 0 ? &why[0] : curl_easy_strerror(code);
  }
  return answer;
}

}  // namespace kvcast::player
