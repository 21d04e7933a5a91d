// A TCP proxy that adds delay and loss to whatever passes through it, so that a player can be tried
// on a bad network without root or kernel support. Each direction of each connection is a LossyPath
// of its own, seeded by the proxy's seed and the connection's number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "manifests/result.h"
#include "tools/proxy/lossy_path.h"

namespace kvcast::proxy {

struct Address {
  std::string host;
  std::string port;
};

class Proxy {
 public:
  // `target` is resolved for every connection, so that it may come and go.
  Proxy(Address target, PathParams path);
  ~Proxy();
  Proxy(const Proxy&) = delete;

  // Port 0 takes any that is free. Once, before run(). The port.
  manifests::Result<uint16_t> listen(const Address& address);
  void run();   // until stop(), on the calling thread
  void stop();  // any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::proxy
