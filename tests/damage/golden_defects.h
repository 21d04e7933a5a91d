// What tests/golden/{plane,text,prefix,kv_file,moments} hold, named for their defects.
#pragma once

#include <string>
#include <vector>

#include "tests/damage/packed_store.h"

namespace kvcast::damage {

struct GoldenDefect {
  std::string file;  // below tests/golden
  Bytes bytes;
  std::string message;  // part of what is said about it; empty: it is good
};

std::vector<GoldenDefect> golden_defects();

}  // namespace kvcast::damage
