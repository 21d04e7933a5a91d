// TLS on a socket that never blocks. Calls answer as recv(2) and send(2) do; on EAGAIN,
// waits_to_write() tells what to wait for.
//
// Where the kernel has TLS, it encrypts, and send_file never copies into this process. Elsewhere
// several records are encrypted in one go and leave in one call: what the socket did not take is
// kept, and goes first next time (flush). Used by one thread.
#pragma once

#include <openssl/types.h>
#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "origin/tls/context.h"

namespace kvcast::origin {

// Memory that all channels of one thread share; it holds nothing between calls.
struct TlsScratch {
  std::vector<char> plain;
  std::string cipher;
};

class TlsChannel {
 public:
  // `socket` and `scratch` outlive the channel.
  TlsChannel(std::shared_ptr<const TlsContext> context, int socket, TlsScratch& scratch);
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  ssize_t handshake();  // 1 once it is done
  ssize_t read(std::span<char> to);
  ssize_t write(std::string_view bytes);
  // Bytes of the file from `offset` on, which moves; 0 if the file ends before.
  ssize_t send_file(int file, off_t& offset, size_t bytes);
  // Hands over what is still here; 1 once nothing is.
  ssize_t flush();
  bool has_unsent() const { return unsent_from_ < unsent_.size(); }
  // Whether a read may find something before more has come.
  bool has_input() const;
  bool waits_to_write() const { return waits_to_write_; }
  bool kernel_sends() const { return kernel_sends_; }
  void say_goodbye();  // close_notify, as far as the socket takes it

 private:
  ssize_t result_of(int answer);
  bool hand_over();  // scratch's cipher text to the socket, the rest to unsent_

  const std::shared_ptr<const TlsContext> context_;
  const int socket_;
  TlsScratch& scratch_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  std::string unsent_;
  size_t unsent_from_ = 0;
  bool waits_to_write_ = false, kernel_sends_ = false, failed_ = false;
};

}  // namespace kvcast::origin
