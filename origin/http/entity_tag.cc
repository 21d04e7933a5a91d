#include "origin/http/entity_tag.h"

#include <algorithm>

namespace kvcast::origin {
namespace {

struct ListedTag {
  bool weak = false;
  std::string_view tag;  // empty: the list is over, or broken from here on
};

// Takes one tag off the front. Tags may contain commas, so the quotes decide where one ends.
ListedTag next_tag(std::string_view& list) {
  list.remove_prefix(std::min(list.find_first_not_of(" \t,"), list.size()));
  ListedTag result;
  if (list.starts_with("W/")) {
    result.weak = true;
    list.remove_prefix(2);
  }
  if (!list.starts_with('"')) return {};
  const size_t end = list.find('"', 1);
  if (end == std::string_view::npos) return {};
  result.tag = list.substr(0, end + 1);
  list.remove_prefix(end + 1);
  return result;
}

bool any_matches(std::string_view list, std::string_view tag, bool weak_ones_too) {
  const size_t begin = list.find_first_not_of(" \t");
  if (begin != std::string_view::npos &&
      list.substr(begin, list.find_last_not_of(" \t") - begin + 1) == "*") {
    return true;
  }
  for (ListedTag listed = next_tag(list); !listed.tag.empty(); listed = next_tag(list)) {
    if (listed.tag == tag && (weak_ones_too || !listed.weak)) return true;
  }
  return false;
}

}  // namespace

bool any_tag_matches_weakly(std::string_view list, std::string_view tag) {
  return any_matches(list, tag, true);
}

bool any_tag_matches_strongly(std::string_view list, std::string_view tag) {
  return any_matches(list, tag, false);
}

}  // namespace kvcast::origin
