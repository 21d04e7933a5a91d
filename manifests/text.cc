#include "manifests/text.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "manifests/bytes/little_endian.h"
#include "manifests/object.h"
#include "manifests/object/header.h"
#include "manifests/text/utf8.h"

namespace kvcast::manifests {
namespace {

constexpr uint16_t kTokensKind = 32;
constexpr uint16_t kUtf8Kind = 33;

bool is_section(const ObjectSection& section, uint16_t kind) {
  return section.kind == kind && section.group == 0 && section.side == 0;
}

std::string text_fault(const ObjectView& view) {
  if (view.header.kind != ObjectKind::kText) {
    return fmt::format("object kind {}, expected 4 (text)", static_cast<int>(view.header.kind));
  }
  if (view.sections.size() != 2 || !is_section(view.sections[0], kTokensKind) ||
      !is_section(view.sections[1], kUtf8Kind)) {
    return "a text object has two sections, kinds 32 and 33, and this one has others";
  }
  if (view.sections[0].bytes.size() != uint64_t{4} * view.header.token_count) {
    return fmt::format("{} bytes of token ids; expected 4 for each of {} tokens",
                       view.sections[0].bytes.size(), view.header.token_count);
  }
  return {};
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<std::byte> write_text_object(const ContextText& text) {
  if (text.tokens.empty() || text.tokens.size() > kMaxTextTokens || !is_utf8(text.utf8)) {
    throw std::invalid_argument("write_text_object: no tokens, too many, or text not UTF-8");
  }
  std::vector<std::byte> ids(4 * text.tokens.size());
  for (size_t i = 0; i < text.tokens.size(); ++i) store_le(std::span(ids), 4 * i, text.tokens[i]);
  ObjectHeader header;
  header.kind = ObjectKind::kText;
  header.token_count = static_cast<uint32_t>(text.tokens.size());
  const std::array<ObjectSection, 2> sections = {
      {{kTokensKind, 0, 0, ids}, {kUtf8Kind, 0, 0, std::as_bytes(std::span(text.utf8))}}};
  return write_object(header, sections);
}

Result<ContextText> read_text_object(std::span<const std::byte> bytes, std::string_view name) {
  const Result<ObjectView> view = read_object(bytes, name);
  if (!view.ok()) return view.error();
  std::string fault = text_fault(*view);
  ContextText text;
  if (fault.empty()) {
    text.utf8 = as_text(view->sections[1].bytes);
    if (!is_utf8(text.utf8)) fault = "section 1 is not UTF-8";
  }
  if (!fault.empty()) return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  text.tokens.resize(view->header.token_count);
  for (size_t i = 0; i < text.tokens.size(); ++i) {
    text.tokens[i] = load_le<uint32_t>(view->sections[0].bytes, 4 * i);
  }
  return text;
}

}  // namespace kvcast::manifests
