#include "packager/check/findings.h"

#include <fmt/format.h>

#include <utility>

namespace kvcast::packager {
namespace {

using manifests::ObjectHeader;

std::string geometry_of(const ObjectHeader& header) {
  return fmt::format("{} layers, keys {}x{}, values {}x{}", header.layers, header.key_heads,
                     header.key_dim, header.value_heads, header.value_dim);
}

std::string tokens_of(const ObjectHeader& header) {
  return fmt::format("tokens {} to {}", header.token_begin,
                     header.token_begin + header.token_count);
}

const char* side_name(uint8_t side) {
  return side == 0 ? "keys" : "values";
}

}  // namespace

void add_defect(VerifyReport& report, const std::string& file, std::string_view what) {
  if (what.starts_with(file + ": ")) what.remove_prefix(file.size() + 2);
  report.defects.push_back({file, std::string(what)});
}

std::optional<LoadedObject> load_object(ObjectReader& objects, const manifests::ObjectRef& object,
                                        const std::string& role, VerifyReport& report) {
  LoadedObject loaded{objects.name(object.digest), {}, {}};
  auto bytes = objects.read(object);
  if (!bytes.ok()) {
    add_defect(report, loaded.file, fmt::format("{}: {}", role, bytes.error().message));
    return std::nullopt;
  }
  loaded.bytes = std::move(*bytes);
  ++report.objects;
  report.object_bytes += loaded.bytes.size();
  if (loaded.bytes.size() != object.bytes) {
    add_defect(report, loaded.file,
               fmt::format("{}: {} bytes, but the manifest says {}", role, loaded.bytes.size(),
                           object.bytes));
  }
  const bool named_right = manifests::sha256(loaded.bytes) == object.digest;
  auto view = manifests::read_object(loaded.bytes, loaded.file);
  if (!view.ok()) {
    add_defect(report, loaded.file, view.error().message);
    return std::nullopt;
  }
  // A container that does not parse says more than that its digest is wrong.
  if (!named_right) {
    add_defect(report, loaded.file,
               fmt::format("{}: its SHA-256 is not its name; fetch or pack it again", role));
  }
  loaded.view = std::move(*view);
  return loaded;
}

std::string section_place(const LoadedObject& object, size_t index) {
  const manifests::ObjectSection& section = object.view.sections[index];
  return fmt::format("section {} (kind {}, group {}, {}, at byte {})", index, section.kind,
                     section.group, side_name(section.side),
                     section.bytes.data() - object.bytes.data());
}

bool check_header(const LoadedObject& object, const ObjectHeader& expected, VerifyReport& report) {
  const ObjectHeader& found = object.view.header;
  const size_t before = report.defects.size();
  const auto compare = [&](int byte, const std::string& is, const std::string& should_be) {
    if (is == should_be) return;
    add_defect(report, object.file,
               fmt::format("header, byte {}: {}; the manifest says {}", byte, is, should_be));
  };
  const auto kind = [](const ObjectHeader& header) {
    return fmt::format("kind {}, plane {}", static_cast<int>(header.kind), header.plane);
  };
  compare(10, kind(found), kind(expected));
  compare(24, tokens_of(found), tokens_of(expected));
  compare(36, fmt::format("element type {}", found.dtype),
          fmt::format("element type {}", expected.dtype));
  compare(38, geometry_of(found), geometry_of(expected));
  compare(64, "profile " + found.profile.hex(), "profile " + expected.profile.hex());
  return report.defects.size() == before;
}

bool check_sections(const LoadedObject& object, const std::vector<kernels::SectionId>& expected,
                    VerifyReport& report) {
  const auto& sections = object.view.sections;
  for (size_t i = 0; i < sections.size() && i < expected.size(); ++i) {
    const kernels::SectionId found{static_cast<kernels::SectionKind>(sections[i].kind),
                                   sections[i].group, static_cast<kernels::Side>(sections[i].side)};
    if (found == expected[i]) continue;
    add_defect(report, object.file,
               fmt::format("{}: expected kind {}, group {}, {}", section_place(object, i),
                           static_cast<int>(expected[i].kind), expected[i].group,
                           side_name(static_cast<uint8_t>(expected[i].side))));
    return false;
  }
  if (sections.size() == expected.size()) return true;
  add_defect(report, object.file,
             fmt::format("{} sections, expected {}", sections.size(), expected.size()));
  return false;
}

}  // namespace kvcast::packager
