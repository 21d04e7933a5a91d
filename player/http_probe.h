// One HTTP request, seen closely: what a checker of servers needs that a play does not.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "player/curl_transport.h"

namespace kvcast::player {

struct ProbeRequest {
  std::string url;
  std::string method = "GET";  // GET, HEAD, OPTIONS
  std::vector<std::string> headers;
};

struct ProbeAnswer {
  std::string error;  // no answer: why; else empty
  int status = 0;
  bool http2 = false;
  std::map<std::string, std::string> headers;  // names in lower case
  std::vector<std::byte> body;                 // as sent, not unpacked
  bool too_long = false;                       // cut at the prober's limit
  bool new_connection = false;
  double connect_ms = 0, ttfb_ms = 0, body_ms = 0;  // ttfb: from the request's last byte

  // Empty when absent.
  const std::string& header(const std::string& name) const;
};

using Prober = std::function<ProbeAnswer(const ProbeRequest&)>;

// Over libcurl, on one kept connection per host where the server allows it. Does not follow
// redirects. One thread.
class CurlProber {
 public:
  explicit CurlProber(CurlTransportParams params);
  ~CurlProber();
  ProbeAnswer probe(const ProbeRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::player
