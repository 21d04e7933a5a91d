// How a program ends, whatever happens in it. For a main only: nothing else here prints or exits.
#pragma once

namespace kvcast::origin {

// The exit code of `run`. What it throws becomes a line on stderr, "NAME: cause", and code 3; so
// does a lack of memory where a library may not throw (nlohmann::json 3.11 in its destructor, CLI11
// 2.3 in a comparison), which ends the process on the spot and leaves on the disk what a kill
// would: nothing torn. `name` is static storage. Once in a process.
int run_program(const char* name, int (*run)(int argc, char** argv), int argc, char** argv);

}  // namespace kvcast::origin
