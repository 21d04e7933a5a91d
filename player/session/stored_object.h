// A fetched object, parsed, and shared between the session and the decode jobs that read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/section.h"
#include "manifests/object.h"
#include "manifests/result.h"

namespace kvcast::player {

class StoredObject {
 public:
  // Error: not an object, or not the one that `expected` describes.
  static manifests::Result<std::shared_ptr<const StoredObject>> parse(
      std::vector<std::byte> bytes, const manifests::ObjectHeader& expected,
      const std::string& name);

  const std::string& name() const { return name_; }
  const manifests::ObjectView& view() const { return view_; }
  std::optional<std::span<const std::byte>> section(kernels::SectionKind kind, uint32_t group,
                                                    kernels::Side side) const;

 private:
  std::string name_;
  std::vector<std::byte> bytes_;
  manifests::ObjectView view_;  // into bytes_
};

}  // namespace kvcast::player
