// What plays remember of links between runs: read before a play, written after it. One thread.
#pragma once

#include <string>

#include "player/play_history.h"

namespace kvcast::tools {

class PlayMemory {
 public:
  // Not `enabled`, or without a cache folder: remembers nothing. A file that cannot be used is
  // noted on stderr and replaced.
  explicit PlayMemory(bool enabled);
  player::PlayHistory* history() { return path_.empty() ? nullptr : &history_; }
  void keep() const;  // a failure is noted on stderr: no play fails for it

 private:
  std::string path_;
  player::PlayHistory history_;
};

}  // namespace kvcast::tools
