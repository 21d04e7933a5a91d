// A link made by the kernel: a network namespace for the player, and a pair of virtual Ethernet
// devices to it whose near end sends through a token bucket (tc tbf). Needs root, iproute2 and a
// kernel with both.
#pragma once

#include <memory>
#include <string>

#include "manifests/result.h"

namespace kvcast::reality {

class ShapedLink {
 public:
  // `bytes_per_s` of TCP payload in full segments: what headers take is added. The error says what
  // the machine lacks.
  static manifests::Result<std::unique_ptr<ShapedLink>> make(double bytes_per_s);
  ~ShapedLink();  // everything is removed
  ShapedLink(const ShapedLink&) = delete;

  const std::string& host() const { return host_; }  // where a server in this process listens

  // From here on the calling thread's new sockets are at the far end. For good: use a thread of
  // its own.
  manifests::Status enter() const;

 private:
  ShapedLink(std::string name, std::string host) : name_(std::move(name)), host_(std::move(host)) {}
  std::string name_, host_;
};

}  // namespace kvcast::reality
