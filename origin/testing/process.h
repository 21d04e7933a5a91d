// A program run beside a test, and ended with it.
#pragma once

#include <string>
#include <vector>

namespace kvcast::origin::testing {

class Process {
 public:
  // `arguments[0]` is the program, looked up on PATH. Its stdout is read here, its stderr goes to
  // `stderr_path`, or nowhere when that is empty.
  explicit Process(const std::vector<std::string>& arguments, const std::string& stderr_path = "");
  ~Process();  // kills it
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Without its end; "" when no more comes.
  std::string read_line();
  std::string read_all();
  void signal(int number) const;
  int wait();  // the exit status; 128 + signal if it was killed

 private:
  int pid_ = -1;
  int stdout_ = -1;
  std::string buffered_;
};

bool is_on_path(const std::string& program);

}  // namespace kvcast::origin::testing
