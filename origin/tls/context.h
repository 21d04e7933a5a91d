// A certificate and its key, ready for connections: TLS 1.3 (or 1.2 and up), HTTP/1.1 by ALPN,
// session tickets. Immutable, so any number of threads and connections share one; renewing a
// certificate means loading another context for connections to come.
#pragma once

#include <openssl/types.h>

#include <memory>

#include "manifests/result.h"
#include "origin/tls_params.h"

namespace kvcast::origin {

class TlsContext {
 public:
  // Errors name the file. A key that is not the certificate's is one.
  static manifests::Result<std::shared_ptr<const TlsContext>> load(const TlsParams& params);

  SSL_CTX* get() const { return context_.get(); }

 private:
  using Context = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
  explicit TlsContext(Context context) : context_(std::move(context)) {}
  Context context_;
};

}  // namespace kvcast::origin
