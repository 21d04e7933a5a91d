// Ctrl-C and SIGTERM as a request to stop, for commands that must not leave half a job behind.
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace kvcast::tools {

// Libraries may start threads before main (OpenBLAS does). Until this is called, first thing in
// main, SIGINT and SIGTERM are blocked, and such threads stay so: or they would take a signal that
// a command waits for, and the process would end.
void unblock_stop_signals();

// While one exists, the signals ask `token()` to stop; a second one ends the process as usual.
// Threads started after it inherit that they do not take the signals themselves.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  std::stop_token token() const { return source_.get_token(); }

 private:
  void watch(std::stop_token end);

  sigset_t signals_, before_;
  std::stop_source source_;
  std::jthread watcher_;
};

}  // namespace kvcast::tools
