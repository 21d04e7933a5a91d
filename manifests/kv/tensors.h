// What the tensors of a KV file say, without its metadata. Internal.
#pragma once

#include <string>

#include "manifests/kv_file.h"

namespace kvcast::manifests {

// Fills in layers, heads, dims, dtype and tokens. Answers what is wrong, with the tensor's name, or
// nothing.
std::string load_tensors(const SafetensorsHeader& header, KvFileInfo& info);

}  // namespace kvcast::manifests
