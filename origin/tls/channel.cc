#include "origin/tls/channel.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace kvcast::origin {
namespace {

// Four full records: enough that a call's cost no longer shows, little enough to stay in the cache.
constexpr size_t kPlainBytes = 4 * SSL3_RT_MAX_PLAIN_LENGTH;

// An OpenSSL sink that keeps what it is given: what several calls wrote then leaves in one.
int take_cipher(BIO* bio, const char* bytes, int count) {
  static_cast<std::string*>(BIO_get_data(bio))->append(bytes, static_cast<size_t>(count));
  return count;
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* gathering_sink() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kvcast");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_write(made, take_cipher);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return kMethod;
}

}  // namespace

TlsChannel::TlsChannel(std::shared_ptr<const TlsContext> context, int socket, TlsScratch& scratch)
    : context_(std::move(context)),
      socket_(socket),
      scratch_(scratch),
      ssl_(SSL_new(context_->get()), SSL_free) {
  if (!ssl_) throw std::bad_alloc();
  SSL_set_accept_state(ssl_.get());
  if ((SSL_CTX_get_options(context_->get()) & SSL_OP_ENABLE_KTLS) != 0) {
    SSL_set_fd(ssl_.get(), socket);  // kTLS is switched on through OpenSSL's own socket BIO
    return;
  }
  BIO* const out = BIO_new(gathering_sink());
  if (out == nullptr) throw std::bad_alloc();
  BIO_set_data(out, &scratch.cipher);
  BIO_set_init(out, 1);
  SSL_set_bio(ssl_.get(), BIO_new_socket(socket, BIO_NOCLOSE), out);
}

TlsChannel::~TlsChannel() = default;

// Every call into OpenSSL may have made records: answers, tickets, alerts.
bool TlsChannel::hand_over() {
  std::string& cipher = scratch_.cipher;
  size_t sent = 0;
  while (!has_unsent() && sent < cipher.size()) {
    const ssize_t put =
        ::send(socket_, cipher.data() + sent, cipher.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      sent += static_cast<size_t>(put);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      failed_ = true;
      break;
    }
  }
  unsent_.append(cipher, sent);
  cipher.clear();
  return !failed_;
}

ssize_t TlsChannel::result_of(int answer) {
  const int error = answer > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), answer);
  ERR_clear_error();
  if (!hand_over()) errno = EPIPE;
  if (failed_) return -1;
  if (answer > 0) return answer;
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  waits_to_write_ = error == SSL_ERROR_WANT_WRITE;
  errno = waits_to_write_ || error == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
  failed_ = errno == EPIPE;
  return -1;
}

ssize_t TlsChannel::flush() {
  while (has_unsent()) {
    const ssize_t put = ::send(socket_, unsent_.data() + unsent_from_,
                               unsent_.size() - unsent_from_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      waits_to_write_ = true;
      return -1;
    }
    unsent_from_ += static_cast<size_t>(put);
  }
  if (!unsent_.empty()) std::string().swap(unsent_);  // idle connections keep no memory
  unsent_from_ = 0;
  return 1;
}

ssize_t TlsChannel::handshake() {
  if (flush() < 0) return -1;
  const ssize_t answer = result_of(SSL_do_handshake(ssl_.get()));
  if (answer <= 0) return answer == 0 ? (errno = EPIPE, -1) : answer;
  kernel_sends_ = BIO_get_ktls_send(SSL_get_wbio(ssl_.get())) != 0;
  return flush();
}

ssize_t TlsChannel::read(std::span<char> to) {
  if (has_unsent() && flush() < 0 && errno != EAGAIN) return -1;
  return result_of(SSL_read(ssl_.get(), to.data(), static_cast<int>(to.size())));
}

bool TlsChannel::has_input() const {
  return SSL_has_pending(ssl_.get()) != 0 || has_unsent();
}

ssize_t TlsChannel::write(std::string_view bytes) {
  if (flush() < 0) return -1;
  size_t written = 0;
  while (written < bytes.size() && !has_unsent()) {
    const size_t count = std::min(bytes.size() - written, kPlainBytes);
    size_t taken = 0;
    while (taken < count) {  // one record a call, as partial writes are allowed
      const int answer =
          SSL_write(ssl_.get(), bytes.data() + written + taken, static_cast<int>(count - taken));
      if (answer <= 0) {
        const ssize_t result = result_of(answer);
        return written + taken > 0 && result < 0 && errno == EAGAIN
                   ? static_cast<ssize_t>(written + taken)
                   : result;
      }
      taken += static_cast<size_t>(answer);
    }
    written += taken;
    if (!hand_over()) return errno = EPIPE, -1;
  }
  return static_cast<ssize_t>(written);
}

ssize_t TlsChannel::send_file(int file, off_t& offset, size_t bytes) {
  if (kernel_sends_) {
    const ossl_ssize_t put = SSL_sendfile(ssl_.get(), file, offset, bytes, 0);
    if (put > 0) offset += put;
    return put > 0 ? put : result_of(static_cast<int>(put));
  }
  if (flush() < 0) return -1;
  scratch_.plain.resize(kPlainBytes);
  const ssize_t got =
      ::pread(file, scratch_.plain.data(), std::min(bytes, scratch_.plain.size()), offset);
  if (got <= 0) return got;
  const ssize_t put = write({scratch_.plain.data(), static_cast<size_t>(got)});
  if (put > 0) offset += put;
  return put;
}

void TlsChannel::say_goodbye() {
  if (failed_ || !SSL_is_init_finished(ssl_.get())) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  hand_over();
}

}  // namespace kvcast::origin
