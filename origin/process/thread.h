// Threads of the server, and what the process must allow for many connections.
#pragma once

#include <functional>
#include <thread>

namespace kvcast::origin {

// The thread blocks every signal: a closed pipe or socket is an error to it, and SIGTERM reaches
// whoever waits for it.
std::thread start_thread_without_signals(std::function<void()> body);

// Raises the soft limit of open files to the hard one. Of the whole process, so for a program's
// main to decide.
void raise_open_file_limit();

}  // namespace kvcast::origin
