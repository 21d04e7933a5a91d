#include "origin/log/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBytesPerFileWrite = 256u << 10;
// POSIX: a pipe that polls writable takes this much without waiting.
constexpr size_t kBytesPerPipeWrite = 4096;
constexpr int kPollMs = 50;

size_t bytes_per_write(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? kBytesPerFileWrite : kBytesPerPipeWrite;
}

}  // namespace

manifests::Result<std::unique_ptr<AccessLog>> AccessLog::open(const AccessLogParams& params) {
  Descriptor file;
  if (!params.path.empty()) {
    file = Descriptor(
        ::open(params.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644));
    if (!file.is_open()) {
      return manifests::Error{manifests::ErrorKind::kIo,
                              params.path + ": cannot append the access log to it: " +
                                  std::generic_category().message(errno)};
    }
  }
  return std::unique_ptr<AccessLog>(new AccessLog(params, std::move(file)));
}

AccessLog::AccessLog(const AccessLogParams& params, Descriptor file)
    : params_(params), file_(std::move(file)) {
  writer_ = start_thread_without_signals([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void AccessLog::add(std::string_view line) {
  bool is_half_full = false;
  {
    const std::lock_guard lock(mutex_);
    if (line.size() >
        params_.max_buffered_bytes - std::min(pending_.size(), params_.max_buffered_bytes)) {
      ++dropped_lines_;
      ++all_dropped_lines_;
      return;
    }
    const size_t half = params_.max_buffered_bytes / 2;
    is_half_full = pending_.size() < half && pending_.size() + line.size() >= half;
    pending_ += line;
  }
  if (is_half_full) wake_.notify_one();
}

void AccessLog::run() {
  std::string batch;
  bool stop = false;
  while (!stop) {
    batch.clear();
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(params_.flush_interval_ms), [this] {
        return stopping_ || pending_.size() >= params_.max_buffered_bytes / 2;
      });
      stop = stopping_;
      batch.swap(pending_);
      if (dropped_lines_ > 0) {
        batch += "{\"dropped_lines\":" + std::to_string(std::exchange(dropped_lines_, 0)) + "}\n";
      }
    }
    write_out(batch);
  }
}

// Waits while the other end is slow, but once stopping no longer than final_flush_ms.
void AccessLog::write_out(std::string_view text) {
  const int fd = file_.is_open() ? file_.get() : STDERR_FILENO;
  const size_t limit = bytes_per_write(fd);
  std::optional<Clock::time_point> give_up;
  while (!text.empty()) {
    pollfd writable{fd, POLLOUT, 0};
    const int ready = ::poll(&writable, 1, kPollMs);
    if (ready == 0 && is_stopping()) {
      if (!give_up) give_up = Clock::now() + std::chrono::milliseconds(params_.final_flush_ms);
      if (Clock::now() > *give_up) return;
    }
    if (ready <= 0) continue;
    const ssize_t put = ::write(fd, text.data(), std::min(text.size(), limit));
    if (put > 0) {
      text.remove_prefix(static_cast<size_t>(put));
    } else if (errno != EINTR && errno != EAGAIN) {
      return;  // the log is gone (disk full, reader gone); serving goes on
    }
  }
}

bool AccessLog::is_stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace kvcast::origin
