// What S3 answers, and what is sent to it: any text survives escaping, and no answer is read past
// its end or slowly.
#include <algorithm>
#include <string>
#include <string_view>

#include "manifests/store/xml.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::manifests;
  using kvcast::fuzz::expect;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string& element : xml_elements(text, "Contents")) {
    xml_text(element, "Key");
    xml_number(element, "Size");
    xml_time(element, "LastModified");
  }
  xml_text(text, "NextContinuationToken");
  xml_text(text, "Code");
  const std::string back = xml_text("<K>" + xml_escaped(text) + "</K>", "K");
  expect(back == text, "text survives escaping");
  expect(std::ranges::none_of(percent_encoded(text), [](char c) { return c <= ' ' || c >= 127; }),
         "an encoded name is plain");
  return 0;
}
