// The other side of TLS: a client, and certificates to show it. OpenSSL, blocking.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace kvcast::origin::testing {

// A self-signed certificate for localhost and its key, as PEM.
struct Certificate {
  std::string certificate, key;
};
Certificate make_certificate(const std::string& common_name);

struct TlsClientParams {
  int max_version = 0;           // 0: what OpenSSL has
  std::string_view alpn = {};    // as on the wire: "\x08http/1.1"
  int receive_buffer_bytes = 0;  // 0: the kernel's choice
};

class TlsClient {
 public:
  explicit TlsClient(uint16_t port, const TlsClientParams& params = {},
                     const TlsClient* resume = nullptr);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool is_connected() const;  // the handshake succeeded
  bool is_resumed() const;
  std::string alpn() const;
  std::string common_name() const;  // of the server's certificate
  // Sends the bytes and reads until `bytes` of answer are here, or the end.
  std::string exchange(std::string_view request, size_t bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::origin::testing
