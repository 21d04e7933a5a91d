#include "origin/program.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

namespace kvcast::origin {
namespace {

// For the handler, which gets nothing else.
const char* program_name = "";

void say(const char* cause) {
  std::fprintf(stderr, "%s: %s\n", program_name, cause);
}

[[noreturn]] void end_where_nothing_can_be_thrown() {
  try {
    if (std::current_exception()) std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    say("out of memory");
    std::_Exit(3);
  } catch (...) {
    say("ended by an exception that nothing caught");
  }
  std::abort();
}

}  // namespace

int run_program(const char* name, int (*run)(int argc, char** argv), int argc, char** argv) {
  program_name = name;
  std::set_terminate(end_where_nothing_can_be_thrown);
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    say("out of memory");
  } catch (const std::exception& error) {
    say(error.what());
  }
  return 3;
}

}  // namespace kvcast::origin
