#include "origin/net/link_estimate.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace kvcast::origin {

LinkEstimate estimate_link(int socket) {
  struct tcp_info info {};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return {info.tcpi_delivery_rate, info.tcpi_rtt};
}

}  // namespace kvcast::origin
