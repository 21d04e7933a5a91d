// Intel's Advanced Matrix Extensions: the CPU's part and the system's.
#pragma once

namespace kvcast::kernels {

// Whether this process may multiply tiles of bf16. The first call asks the system to let it, for
// all its threads: their state is larger then.
bool may_use_amx();

}  // namespace kvcast::kernels
