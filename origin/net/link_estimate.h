// TCP_INFO, in a place of its own: the kernel's header and the C library's disagree on the struct.
#pragma once

#include "origin/http/response.h"

namespace kvcast::origin {

// Nothing known if `socket` is no TCP socket. The rate is what the kernel last measured of this
// connection's deliveries, the round trip its smoothed one.
LinkEstimate estimate_link(int socket);

}  // namespace kvcast::origin
