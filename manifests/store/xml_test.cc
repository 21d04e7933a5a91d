#include "manifests/store/xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvcast::manifests {
namespace {

TEST(Xml, FindsFlatElements) {
  const std::string xml = "<L><C><K>a&amp;b</K><S>12</S></C><C><K>&#x41;&#66;</K></C><E/></L>";
  EXPECT_THAT(xml_elements(xml, "C"),
              testing::ElementsAre("<K>a&amp;b</K><S>12</S>", "<K>&#x41;&#66;</K>"));
  EXPECT_EQ(xml_text(xml, "K"), "a&b");
  EXPECT_EQ(xml_text("<K>&#x41;&#66;&lt;&gt;&quot;&apos;</K>", "K"), "AB<>\"'");
  EXPECT_EQ(xml_number(xml, "S"), 12u);
  EXPECT_EQ(xml_text(xml, "E"), "");
  EXPECT_EQ(xml_time("<T>1970-01-02T00:00:01.000Z</T>", "T"), 86401);
  EXPECT_EQ(xml_escaped("\"a&b<\""), "&quot;a&amp;b&lt;&quot;");
}

TEST(Xml, DoesNotRunOff) {
  for (const char* xml : {"", "<K>", "<K>a", "<K>a&</K>", "<K>a&;</K>", "<K>&#x</K>", "</K><K>"}) {
    xml_text(xml, "K");
  }
  EXPECT_EQ(xml_text("<K>a& b</K>", "K"), "a& b");
}

TEST(PercentEncoding, KeepsUnreservedOnly) {
  EXPECT_EQ(percent_encoded("aZ09-._~/ +\xc3"), "aZ09-._~%2F%20%2B%C3");
  EXPECT_EQ(percent_encoded("a/b c", true), "a/b%20c");
}

}  // namespace
}  // namespace kvcast::manifests
