#include "origin/tls/context.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "origin/files/root.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;

constexpr unsigned char kProtocol[] = "\x08http/1.1";
constexpr unsigned kProtocolBytes = sizeof kProtocol - 1;
constexpr unsigned char kSessionScope[] = "kvcast";

Error openssl_error(const std::string& what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return {ErrorKind::kIo, what + ": " + text.data()};
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned offered_bytes, void*) {
  unsigned char* match = nullptr;
  const int found = SSL_select_next_proto(&match, chosen_bytes, kProtocol, kProtocolBytes, offered,
                                          offered_bytes);
  *chosen = match;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

manifests::Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsParams& params) {
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return openssl_error("cannot set up TLS");
  SSL_CTX* const raw = context.get();
  SSL_CTX_set_min_proto_version(raw, params.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  if (SSL_CTX_use_certificate_chain_file(raw, params.certificate_path.c_str()) != 1) {
    return openssl_error(params.certificate_path + ": no certificate can be read from it");
  }
  if (SSL_CTX_use_PrivateKey_file(raw, params.key_path.c_str(), SSL_FILETYPE_PEM) != 1) {
    return openssl_error(params.key_path + ": not the key of " + params.certificate_path);
  }
  uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
  if (kernel_offers_tls()) options |= SSL_OP_ENABLE_KTLS;
  SSL_CTX_set_options(raw, options);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_num_tickets(raw, 1);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // tickets hold the state, not we
  SSL_CTX_set_session_id_context(raw, kSessionScope, sizeof kSessionScope - 1);
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context)));
}

// A socket that is not connected is refused as such (ENOTCONN) by a kernel that knows the name, and
// for the name (ENOENT) by one that does not.
bool kernel_offers_tls() {
  const Descriptor probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  constexpr std::string_view kName = "tls";
  return ::setsockopt(probe.get(), IPPROTO_TCP, TCP_ULP, kName.data(), kName.size()) == 0 ||
         errno == ENOTCONN;
}

}  // namespace kvcast::origin
