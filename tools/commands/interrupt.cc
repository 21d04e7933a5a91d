#include "tools/commands/interrupt.h"

#include <ctime>

namespace kvcast::tools {

InterruptWatch::InterruptWatch() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  watcher_ = std::jthread([this](std::stop_token end) { watch(end); });
}

InterruptWatch::~InterruptWatch() {
  watcher_.request_stop();
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void InterruptWatch::watch(std::stop_token end) {
  constexpr timespec kPause{0, 50'000'000};
  while (!end.stop_requested()) {
    const int signal = sigtimedwait(&signals_, nullptr, &kPause);
    if (signal < 0) continue;
    if (source_.stop_requested()) {
      std::signal(signal, SIG_DFL);
      pthread_sigmask(SIG_SETMASK, &before_, nullptr);
      ::raise(signal);
    }
    source_.request_stop();
  }
}

}  // namespace kvcast::tools
