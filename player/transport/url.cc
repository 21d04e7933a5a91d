#include "player/url.h"

#include <curl/curl.h>

#include <memory>
#include <new>
#include <string_view>

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

struct CurlUrlDelete {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlUrl = std::unique_ptr<CURLU, CurlUrlDelete>;

CurlUrl make_url() {
  CurlUrl url(curl_url());
  if (!url) throw std::bad_alloc();
  return url;
}

// Out of memory is no fault of the URL.
CURLUcode throwing(CURLUcode code) {
  if (code == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  return code;
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (throwing(curl_url_get(url, which, &text, 0)) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

Error refused(const std::string& text, std::string_view why) {
  return Error{ErrorKind::kUsage, "'" + text + "' is no usable URL (" + std::string(why) +
                                      "); give one that starts with http:// or https://"};
}

}  // namespace

Result<std::string> resolve_url(const std::string& base, const std::string& relative) {
  CurlUrl url = make_url();
  if (CURLUcode code = throwing(
          curl_url_set(url.get(), CURLUPART_URL, base.c_str(), CURLU_NON_SUPPORT_SCHEME))) {
    return refused(base, curl_url_strerror(code));
  }
  if (CURLUcode code = throwing(
          curl_url_set(url.get(), CURLUPART_URL, relative.c_str(), CURLU_NON_SUPPORT_SCHEME))) {
    return refused(relative, curl_url_strerror(code));
  }
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  const std::string resolved = part(url.get(), CURLUPART_URL);
  if (scheme != "http" && scheme != "https") return refused(resolved, "scheme '" + scheme + "'");
  return resolved;
}

Result<std::string> url_below(const std::string& folder, const std::string& path) {
  CurlUrl url = make_url();
  if (CURLUcode code = throwing(
          curl_url_set(url.get(), CURLUPART_URL, folder.c_str(), CURLU_NON_SUPPORT_SCHEME))) {
    return refused(folder, curl_url_strerror(code));
  }
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return refused(folder, "scheme '" + scheme + "'");
  std::string joined = part(url.get(), CURLUPART_PATH);
  if (!joined.ends_with('/')) joined += '/';
  joined += path;
  if (CURLUcode code = throwing(curl_url_set(url.get(), CURLUPART_PATH, joined.c_str(), 0))) {
    return refused(folder, curl_url_strerror(code));
  }
  return part(url.get(), CURLUPART_URL);
}

std::string host_of(const std::string& url) {
  CurlUrl parsed = make_url();
  if (throwing(curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0)) != CURLUE_OK) return {};
  char* port = nullptr;
  if (throwing(curl_url_get(parsed.get(), CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) !=
      CURLUE_OK) {
    return {};
  }
  const std::string number(port);
  curl_free(port);
  return part(parsed.get(), CURLUPART_SCHEME) + "://" + part(parsed.get(), CURLUPART_HOST) + ":" +
         number;
}

}  // namespace kvcast::player
