// Which certificate the origin shows.
#pragma once

#include <string>

namespace kvcast::origin {

struct TlsParams {
  std::string certificate_path;  // PEM: the certificate, then those of its issuers; empty: no TLS
  std::string key_path;          // PEM
  bool allow_tls12 = false;      // for clients and CDNs that know nothing newer
};

// Whether this kernel encrypts what sendfile sends (its tls module); else this process does.
bool kernel_offers_tls();

}  // namespace kvcast::origin
