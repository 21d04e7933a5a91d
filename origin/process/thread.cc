#include "origin/process/thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <utility>

namespace kvcast::origin {

BlockedSignals::BlockedSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);  // a thread inherits the mask of its maker
}

BlockedSignals::~BlockedSignals() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::thread start_thread_without_signals(std::function<void()> body) {
  const BlockedSignals blocked;
  return std::thread(std::move(body));
}

void raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace kvcast::origin
