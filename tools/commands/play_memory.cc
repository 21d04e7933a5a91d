#include "tools/commands/play_memory.h"

#include <cstdio>
#include <ctime>

namespace kvcast::tools {

PlayMemory::PlayMemory(bool enabled) : path_(enabled ? player::play_history_path() : "") {
  std::string note;
  history_ = player::read_play_history(path_, std::time(nullptr), note);
  if (!note.empty()) std::fprintf(stderr, "kvcast: %s\n", note.c_str());
}

void PlayMemory::keep() const {
  if (path_.empty()) return;
  const manifests::Status written = player::write_play_history(path_, history_);
  if (!written) {
    std::fprintf(stderr, "kvcast: %s; the next play starts without it\n",
                 written.error().message.c_str());
  }
}

}  // namespace kvcast::tools
