#include "origin/program.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

namespace kvcast::origin {
namespace {

void end_by(int (*run)(int, char**)) {
  std::_Exit(run_program("prog", run, 0, nullptr));
}

int succeed(int, char**) {
  return 7;
}

int lack_memory(int, char**) {
  throw std::bad_alloc();
}

int fail(int, char**) {
  throw std::runtime_error("a reason");
}

int lack_memory_in_a_thread(int, char**) {
  std::thread([] { throw std::bad_alloc(); }).join();
  return 0;
}

[[noreturn]] void throw_out_of_memory() {
  throw std::bad_alloc();
}

int fail_in_a_destructor(int, char**) {
  struct Failing {
    ~Failing() { throw_out_of_memory(); }  // as a library's does: destructors may not throw
  };
  const Failing failing;
  return 0;
}

int fail_in_a_thread(int, char**) {
  std::thread([] { throw 1; }).join();
  return 0;
}

TEST(ProgramDeathTest, EndsAsItsMainSays) {
  EXPECT_EXIT(end_by(succeed), ::testing::ExitedWithCode(7), "");
}

TEST(ProgramDeathTest, TellsWhatWasThrown) {
  EXPECT_EXIT(end_by(lack_memory), ::testing::ExitedWithCode(3), "prog: out of memory");
  EXPECT_EXIT(end_by(fail), ::testing::ExitedWithCode(3), "prog: a reason");
}

TEST(ProgramDeathTest, TellsOfALackOfMemoryWhereNothingMayBeThrown) {
  EXPECT_EXIT(end_by(lack_memory_in_a_thread), ::testing::ExitedWithCode(3), "prog: out of memory");
  EXPECT_EXIT(end_by(fail_in_a_destructor), ::testing::ExitedWithCode(3), "prog: out of memory");
}

TEST(ProgramDeathTest, AbortsOnABug) {
  EXPECT_EXIT(end_by(fail_in_a_thread), ::testing::KilledBySignal(SIGABRT), "nothing caught");
}

}  // namespace
}  // namespace kvcast::origin
