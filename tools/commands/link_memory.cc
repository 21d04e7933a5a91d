#include "tools/commands/link_memory.h"

#include <cstdio>
#include <ctime>

namespace kvcast::tools {

LinkMemory::LinkMemory(bool enabled) : path_(enabled ? player::link_history_path() : "") {
  std::string note;
  history_ = player::read_link_history(path_, std::time(nullptr), note);
  if (!note.empty()) std::fprintf(stderr, "kvcast: %s\n", note.c_str());
}

void LinkMemory::keep() const {
  if (path_.empty()) return;
  const manifests::Status written = player::write_link_history(path_, history_);
  if (!written) {
    std::fprintf(stderr, "kvcast: %s; the next play starts without it\n",
                 written.error().message.c_str());
  }
}

}  // namespace kvcast::tools
