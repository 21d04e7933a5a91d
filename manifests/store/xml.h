// What S3's answers say, of which only flat elements matter, and what its URLs need. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast::manifests {

// The inside of each <name>...</name>, as it stands; elements of one name are not nested.
std::vector<std::string> xml_elements(std::string_view xml, std::string_view name);
// That of the first, with the five entities and &#13; and the like resolved; empty: there is none.
std::string xml_text(std::string_view xml, std::string_view name);
uint64_t xml_number(std::string_view xml, std::string_view name);  // 0: none
int64_t xml_time(std::string_view xml, std::string_view name);     // ISO 8601 UTC; 0: none

std::string xml_escaped(std::string_view text);

// All but RFC 3986's unreserved characters as %XX, which is how a query is signed; a path keeps its
// slashes.
std::string percent_encoded(std::string_view text, bool keep_slashes = false);

}  // namespace kvcast::manifests
