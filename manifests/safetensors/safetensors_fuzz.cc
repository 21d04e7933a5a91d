// safetensors headers, and what a KV file says in them. The first two bytes say how much larger the
// file is than what was given.
#include <span>

#include "manifests/kv_file.h"
#include "manifests/safetensors.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::manifests;
  if (size < 2) return 0;
  const std::span head(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  const uint64_t file_bytes = head.size() + (uint64_t{data[0]} | uint64_t{data[1]} << 8);
  const auto header = parse_safetensors(head, file_bytes, "input");
  if (!header) return 0;
  for (const auto& [name, tensor] : header->tensors) {
    kvcast::fuzz::expect(tensor.offset <= file_bytes && tensor.bytes <= file_bytes - tensor.offset,
                         "a tensor lies in its file");
  }
  if (const auto kv = describe_kv_header(*header, "input")) {
    kvcast::fuzz::expect(kv->model.layers > 0 && kv->tokens > 0, "a KV file has layers and tokens");
    kv_file_metadata(*kv);
  }
  return 0;
}
