// What plays remember of links between runs: read before a play, written after it. One thread.
#pragma once

#include <string>

#include "player/link_history.h"

namespace kvcast::tools {

class LinkMemory {
 public:
  // Not `enabled`, or without a cache folder: remembers nothing. A file that cannot be used is
  // noted on stderr and replaced.
  explicit LinkMemory(bool enabled);
  player::LinkHistory* history() { return path_.empty() ? nullptr : &history_; }
  void keep() const;  // a failure is noted on stderr: no play fails for it

 private:
  std::string path_;
  player::LinkHistory history_;
};

}  // namespace kvcast::tools
