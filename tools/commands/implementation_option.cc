#include "tools/commands/implementation_option.h"

#include <cstdlib>
#include <string>

#include "kernels/implementation.h"

namespace kvcast::tools {

void add_implementation_option(CLI::App& app) {
  app.add_option(
         "--implementation",
         "instructions the codec uses: scalar, avx2, avx512 or amx; default: the fastest that "
         "this CPU has. cuda: that, and play decodes on CUDA device 0")
      ->envname(kernels::kImplementationVariable)
      ->type_name("NAME")
      ->check([](const std::string& name) {
        const auto found = kernels::find_implementation(name);
        return found.ok() ? std::string() : found.fault().what;
      })
      ->each([](const std::string& name) {
        ::setenv(kernels::kImplementationVariable, name.c_str(), 1);
      });
}

}  // namespace kvcast::tools
