// Transport over libcurl's multi interface: HTTP/2 over TLS where the server speaks it (ALPN), all
// transfers to a host on one connection; else HTTP/1.1 on several kept-alive ones. Only http and
// https, at most three redirects, certificates verified, proxies as the environment says, no
// signals. One thread, except wake().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "player/transport.h"

namespace kvcast::player {

// What proves to a server who asks. A manifest may name any host as a base URL, so only hosts that
// the caller names get these, and redirects are not followed with them.
struct Credentials {
  std::vector<std::string> hosts;    // scheme://host:port (url.h)
  std::vector<std::string> headers;  // "Authorization: Bearer ...", "X-Api-Key: ..."
  struct S3 {                        // signs requests (AWS Signature Version 4)
    std::string access_key, secret_key, session_token;
    std::string region = "us-east-1";
  };
  std::optional<S3> s3;
};

struct CurlTransportParams {
  uint32_t max_connections =
      4;  // transfers beyond wait their turn here; limits run from their turn
  std::string user_agent = "kvcast/0.1";
  std::string ca_file;  // PEM; empty: the system's
  bool http2 = true;
  Credentials credentials;
};

class CurlTransport final : public Transport {
 public:
  explicit CurlTransport(CurlTransportParams params = {});
  ~CurlTransport() override;  // cancels everything
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  TransferId start(TransferRequest request) override;
  void cancel(TransferId id) override;
  std::vector<std::byte> stop(TransferId id) override;
  void warm(const std::string& url, uint32_t connections) override;  // HEAD
  void pause(bool paused) override;
  std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) override;
  void wake() override;
  int64_t now_ns() const override;  // std::chrono::steady_clock

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::player
