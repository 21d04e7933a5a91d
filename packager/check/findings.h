// Small helpers to say what is wrong with a file.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/section.h"
#include "manifests/object.h"
#include "packager/verify.h"

namespace kvcast::packager {

// Drops a repetition of the file's name in front of `what`.
void add_defect(VerifyReport& report, const std::string& file, std::string_view what);

// The sections' views point into `bytes`.
struct LoadedObject {
  std::string file;
  std::vector<std::byte> bytes;
  manifests::ObjectView view;
};

// Read, size, digest and container checked; counted in the report. `role`: "chunk 3 plane 0".
std::optional<LoadedObject> load_object(ObjectReader& objects, const manifests::ObjectRef& object,
                                        const std::string& role, VerifyReport& report);

// "section 5 (group 2, keys, at byte 4096)"
std::string section_place(const LoadedObject& object, size_t index);

// Compares header and section list; a defect a difference. True: all as expected.
bool check_header(const LoadedObject& object, const manifests::ObjectHeader& expected,
                  VerifyReport& report);
bool check_sections(const LoadedObject& object, const std::vector<kernels::SectionId>& expected,
                    VerifyReport& report);

}  // namespace kvcast::packager
