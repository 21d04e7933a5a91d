// What the sessions of one thread share. Used by that thread only.
#pragma once

#include <string>

#include "origin/files/file_cache.h"
#include "origin/net/date_cache.h"

namespace kvcast::origin {

struct Local {
  DateCache dates;
  FileCache files;
  std::string out;  // for composing; holds nothing across a wait
};

}  // namespace kvcast::origin
