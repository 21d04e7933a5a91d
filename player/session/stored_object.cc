#include "player/session/stored_object.h"

#include <fmt/format.h>

namespace kvcast::player {

manifests::Result<std::shared_ptr<const StoredObject>> StoredObject::parse(
    std::vector<std::byte> bytes, const manifests::ObjectHeader& expected,
    const std::string& name) {
  auto object = std::make_shared<StoredObject>();
  object->name_ = name;
  object->bytes_ = std::move(bytes);
  auto view = manifests::read_object(object->bytes_, name);
  if (!view) return view.error();
  if (view->header != expected) {
    const manifests::ObjectHeader& found = view->header;
    return manifests::Error{
        manifests::ErrorKind::kCorrupt,
        fmt::format(
            "{}: its header says kind {}, plane {}, tokens {} + {}, type {}, {} layers; the "
            "manifest says kind {}, plane {}, tokens {} + {}, type {}, {} layers, or shape "
            "or profile differ: pack the context again",
            name, static_cast<int>(found.kind), found.plane, found.token_begin, found.token_count,
            found.dtype, found.layers, static_cast<int>(expected.kind), expected.plane,
            expected.token_begin, expected.token_count, expected.dtype, expected.layers)};
  }
  object->view_ = std::move(*view);
  return std::shared_ptr<const StoredObject>(std::move(object));
}

std::optional<std::span<const std::byte>> StoredObject::section(kernels::SectionKind kind,
                                                                uint32_t group,
                                                                kernels::Side side) const {
  for (const manifests::ObjectSection& section : view_.sections) {
    if (section.kind == static_cast<uint16_t>(kind) && section.group == group &&
        section.side == static_cast<uint8_t>(side)) {
      return section.bytes;
    }
  }
  return std::nullopt;
}

}  // namespace kvcast::player
