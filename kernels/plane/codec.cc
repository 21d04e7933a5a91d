#include <stdexcept>
#include <string>

#include "kernels/entropy/alias_registers.h"
#include "kernels/plane.h"
#include "kernels/plane/tables.h"

namespace kvcast::kernels {
namespace {

ClassTables build_class(const ScaleClass& scale_class) {
  ClassTables tables{
      AliasTable(scale_class.base.frequency), {}, alias_registers(scale_class.base.frequency), {}};
  tables.passes.reserve(scale_class.passes.size());
  for (const auto& contexts : scale_class.passes) {
    tables.passes.push_back({AliasTable(contexts[0].frequency), AliasTable(contexts[1].frequency),
                             AliasTable(contexts[2].frequency)});
    tables.pass_registers.push_back(
        pass_registers({contexts[0].frequency, contexts[1].frequency, contexts[2].frequency}));
  }
  return tables;
}

}  // namespace

Codec::Codec(const Profile& profile, Implementation implementation)
    : profile_(&profile), implementation_(implementation) {
  if (!runs_here(implementation)) {
    throw std::invalid_argument(std::string("this CPU lacks the instructions of implementation ") +
                                implementation_name(implementation));
  }
  auto tables = std::make_unique<Tables>();
  tables->vectors = vector_kernels(implementation);
  tables->encoding = &encode_kernels(implementation);
  tables->channels.emplace(profile, implementation);
  tables->classes.reserve(profile.classes.size());
  for (const ScaleClass& scale_class : profile.classes)
    tables->classes.push_back(build_class(scale_class));
  tables_ = std::move(tables);
}

Codec::~Codec() = default;
Codec::Codec(Codec&&) noexcept = default;

}  // namespace kvcast::kernels
