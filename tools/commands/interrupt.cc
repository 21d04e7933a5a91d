#include "tools/commands/interrupt.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>

namespace kvcast::tools {
namespace {

// As the kernel takes them: bit n - 1. Its call, since no library is ready yet when this runs.
void mask_stop_signals(int how) {
  const uint64_t signals = uint64_t{1} << (SIGINT - 1) | uint64_t{1} << (SIGTERM - 1);
  ::syscall(SYS_rt_sigprocmask, how, &signals, nullptr, sizeof signals);
}

// The one hook that comes before the constructors of libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const kBeforeLibraries)() = [] {
  mask_stop_signals(SIG_BLOCK);
};

}  // namespace

void unblock_stop_signals() {
  mask_stop_signals(SIG_UNBLOCK);
}

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
