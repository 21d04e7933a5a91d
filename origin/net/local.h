// What the sessions of one thread share. Used by that thread only.
#pragma once

#include <string>

#include "origin/files/file_cache.h"
#include "origin/log/metrics.h"
#include "origin/net/date_cache.h"
#include "origin/tls/channel.h"

namespace kvcast::origin {

struct Local {
  DateCache dates;
  FileCache files;
  Metrics metrics = {};
  TlsScratch tls;
  std::string out;  // for composing; holds nothing across a wait
};

}  // namespace kvcast::origin
