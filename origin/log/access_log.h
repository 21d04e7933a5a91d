// Lines of the access log, gathered in memory and written by a thread of its own: whoever serves
// never waits for a disk or a pipe. When the reader cannot keep up, lines are dropped and counted,
// and the next batch says how many:
// {"dropped_lines":N}.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "manifests/result.h"
#include "origin/files/root.h"

namespace kvcast::origin {

struct AccessLogParams {
  std::string path;                      // appended to; empty: stderr
  size_t max_buffered_bytes = 4u << 20;  // lines beyond are dropped
  int flush_interval_ms = 200;
  int final_flush_ms = 1000;  // how long the destructor tries to write what is left
};

class AccessLog {
 public:
  static manifests::Result<std::unique_ptr<AccessLog>> open(const AccessLogParams& params);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // `line` with its newline. Any thread; waits for a mutex held for a memcpy at most.
  void add(std::string_view line);
  // Lines dropped so far.
  uint64_t dropped_lines() const { return all_dropped_lines_; }

 private:
  AccessLog(const AccessLogParams& params, Descriptor file);
  void run();
  void write_out(std::string_view text);
  bool is_stopping();

  const AccessLogParams params_;
  const Descriptor file_;  // not open: stderr
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string pending_;
  uint64_t dropped_lines_ = 0;  // not yet told in the log
  std::atomic<uint64_t> all_dropped_lines_{0};
  bool stopping_ = false;
  std::thread writer_;  // last: it uses the others
};

}  // namespace kvcast::origin
