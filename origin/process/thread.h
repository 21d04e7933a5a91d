// Threads of the server, and what the process must allow for many connections.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

namespace kvcast::origin {

// The thread blocks every signal: a closed pipe or socket is an error to it, and SIGTERM reaches
// whoever waits for it.
std::thread start_thread_without_signals(std::function<void()> body);

// Threads made meanwhile by this one block every signal.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

// Raises the soft limit of open files to the hard one. Of the whole process, so for a program's
// main to decide.
void raise_open_file_limit();

}  // namespace kvcast::origin
