#include "origin/testing/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace kvcast::origin::testing {
namespace {

bool fill(int fd, std::string& to) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) to.append(buffer.data(), static_cast<size_t>(got));
  return got > 0;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::string& stderr_path) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    const char* const errors = stderr_path.empty() ? "/dev/null" : stderr_path.c_str();
    ::dup2(::open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  stdout_ = ends[0];
}

Process::~Process() {
  if (pid_ > 0) {
    signal(SIGKILL);
    wait();
  }
  ::close(stdout_);
}

std::string Process::read_line() {
  size_t end = 0;
  while ((end = buffered_.find('\n')) == std::string::npos) {
    if (!fill(stdout_, buffered_)) return {};
  }
  const std::string line = buffered_.substr(0, end);
  buffered_.erase(0, end + 1);
  return line;
}

std::string Process::read_all() {
  while (fill(stdout_, buffered_)) {
  }
  return std::exchange(buffered_, {});
}

void Process::signal(int number) const {
  ::kill(pid_, number);
}

int Process::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool is_on_path(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace kvcast::origin::testing
