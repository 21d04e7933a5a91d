#include "kernels/plane/encode_tables.h"

#include <array>
#include <utility>

#include "kernels/entropy/encode_table.h"
#include "kernels/plane/tables.h"

namespace kvcast::kernels {

std::span<const ClassEncodeTables> EncodeTables::of(std::span<const ClassTables> classes) const {
  std::call_once(once_, [&] {
    // Kept only when whole: after a lack of memory here, another thread's call builds them anew.
    std::vector<ClassEncodeTables> built;
    for (const ClassTables& tables : classes) {
      ClassEncodeTables& made = built.emplace_back();
      made.base = encode_table(tables.base);
      for (const auto& pass : tables.passes) {
        const std::array contexts = {&pass[0], &pass[1], &pass[2]};
        made.passes.push_back(encode_table(contexts));
      }
    }
    built_ = std::move(built);
  });
  return built_;
}

}  // namespace kvcast::kernels
