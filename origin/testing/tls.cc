#include "origin/testing/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace kvcast::origin::testing {
namespace {

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

int connect_to(uint16_t port, int receive_buffer_bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  const timeval limit{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  }
  return fd;
}

}  // namespace

Certificate make_certificate(const std::string& common_name) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  BIO* const certificate_text = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_text, certificate);
  BIO* const key_text = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_text, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return {text_of(certificate_text), text_of(key_text)};
}

struct TlsClient::State {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  int fd = -1;
  bool connected = false;
};

TlsClient::TlsClient(uint16_t port, const TlsClientParams& params, const TlsClient* resume)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  SSL_CTX_set_max_proto_version(state.context, params.max_version);
  SSL_CTX_set_session_cache_mode(state.context, SSL_SESS_CACHE_CLIENT);
  state.ssl = SSL_new(state.context);
  if (!params.alpn.empty()) {
    SSL_set_alpn_protos(state.ssl, reinterpret_cast<const unsigned char*>(params.alpn.data()),
                        static_cast<unsigned>(params.alpn.size()));
  }
  if (resume != nullptr) {
    SSL_SESSION* const session = SSL_get1_session(resume->state_->ssl);
    SSL_set_session(state.ssl, session);
    SSL_SESSION_free(session);
  }
  state.fd = connect_to(port, params.receive_buffer_bytes);
  SSL_set_fd(state.ssl, state.fd);
  state.connected = SSL_connect(state.ssl) == 1;
}

TlsClient::~TlsClient() {
  SSL_free(state_->ssl);
  SSL_CTX_free(state_->context);
  ::close(state_->fd);
}

bool TlsClient::is_connected() const {
  return state_->connected;
}

bool TlsClient::is_resumed() const {
  return SSL_session_reused(state_->ssl) == 1;
}

std::string TlsClient::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(state_->ssl, &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string TlsClient::common_name() const {
  X509* const certificate = SSL_get1_peer_certificate(state_->ssl);
  std::array<char, 256> text{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text.data(),
                            text.size());
  X509_free(certificate);
  return text.data();
}

std::string TlsClient::exchange(std::string_view request, size_t bytes) {
  if (SSL_write(state_->ssl, request.data(), static_cast<int>(request.size())) <= 0) return {};
  std::string answer;
  std::array<char, 16384> buffer;
  while (answer.size() < bytes) {
    const int got = SSL_read(state_->ssl, buffer.data(), buffer.size());
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace kvcast::origin::testing
