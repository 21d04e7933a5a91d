#include "tools/simulate/link_traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tools/simulate/families.h"

namespace kvcast::simulate {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<NamedTrace> imported(std::string_view text) {
  auto traces = import_traces(text, "t", "f");
  if (!traces) throw std::runtime_error(traces.error().message);
  return std::move(*traces);
}

TEST(Import, TwoColumns) {
  const auto traces = imported("# a logger's\n0 8\n1\t16\n2 0\n3 8\n");
  ASSERT_EQ(traces.size(), 1u);
  EXPECT_EQ(traces[0].family, "f");
  EXPECT_EQ(traces[0].steps.size(), 4u);
  EXPECT_DOUBLE_EQ(traces[0].step_s, 1);
  EXPECT_DOUBLE_EQ(traces[0].seconds, 4);
  EXPECT_DOUBLE_EQ(traces[0].looped().bytes_until(8), 8e6);
  EXPECT_DOUBLE_EQ(traces[0].held().bytes_until(8), 3e6 + 5e6);
  EXPECT_DOUBLE_EQ(traces[0].mean_bytes_per_s(), 1e6);
}

TEST(Import, MahimahiCountsPackets) {
  const auto traces = imported("0\n50\n50\n99\n100\n350\n");
  ASSERT_EQ(traces.size(), 1u);
  ASSERT_EQ(traces[0].steps.size(), 4u);
  EXPECT_DOUBLE_EQ(traces[0].looped().bytes_until(0.4), 6 * 1500);
  EXPECT_DOUBLE_EQ(traces[0].steps[0].bytes_per_s, 60'000);
  EXPECT_DOUBLE_EQ(traces[0].steps[2].bytes_per_s, 0);
}

TEST(Import, CacheGensLinesAreTraces) {
  const auto traces = imported("{\"bw\": [8, 0.8]}\n{\"bw\": [1]}\n");
  ASSERT_EQ(traces.size(), 2u);
  EXPECT_EQ(traces[0].name, "t:1");
  EXPECT_DOUBLE_EQ(traces[0].looped().bytes_until(2), 1.1e9);
}

TEST(Import, BadInputIsNamed) {
  struct {
    const char *text, *where;
  } const cases[] = {
      {"", "t: no rates"},
      {"5\n4\n", "t:2:"},
      {"5\nx\n", "t:2:"},
      {"5\n7 8\n", "t:2:"},
      {"99999999999\n", "t:1:"},
      {"0 1\n1\n", "t:2:"},
      {"{\"bw\": []}", "t:1:"},
      {"{\"bw\": [-1]}", "t:1:"},
      {"{\"bw\": [1e9]}", "t:1:"},
      {"{\"bw\": [\"1\"]}", "t:1:"},
      {"{\"bw\": [1]}\n{", "t:2:"},
      {"{}", "t:1:"},
      {"0,1\n", "t:1:"},
  };
  for (const auto& c : cases) {
    const auto traces = import_traces(c.text, "t", "f");
    ASSERT_FALSE(traces.ok()) << c.text;
    EXPECT_EQ(traces.error().kind, manifests::ErrorKind::kCorrupt);
    EXPECT_THAT(traces.error().message, StartsWith(c.where));
  }
}

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "kvcast_link_traces_test") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ / "lte");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(Load, FoldersFilesAndFamilies) {
  const Folder folder;
  folder.write("lte/b.down", "1\n2\n");
  folder.write("lte/a.trace", "0 8\n1 9\n");
  folder.write("lte/README", "words");
  const std::string file = folder.write("one", "0 8\n");
  const auto traces = load_traces({folder.path() + "/lte", file, "constant:count=3"});
  ASSERT_TRUE(traces.ok()) << traces.error().message;
  ASSERT_EQ(traces->size(), 6u);
  EXPECT_THAT((*traces)[0].name, HasSubstr("a.trace")) << "in order of names";
  EXPECT_EQ((*traces)[0].family, "lte");
  EXPECT_EQ((*traces)[5].family, "constant");
}

TEST(Load, RefusesWhatNeverCarriesAnything) {
  const Folder folder;
  for (const std::string& spec :
       {folder.write("dead", "0 0\n5 0\n"), folder.write("words", "x y\n"), folder.path() + "/none",
        folder.path() + "/lte", std::string("markov:seed"), std::string("outages:up=0"),
        std::string("markov:colour=1"), std::string("steps:step=x"),
        std::string("constant:count=1e8"), std::string("constant:mean=-1")}) {
    const auto traces = load_traces({spec});
    ASSERT_FALSE(traces.ok()) << spec;
    EXPECT_THAT(traces.error().message, HasSubstr(spec));
  }
}

TEST(Families, AreTheSameForASeedAndOthersForOthers) {
  for (const std::string& kind : family_kinds()) {
    const auto one = make_family(kind + ":count=4,seed=7");
    const auto again = make_family(kind + ":count=4,seed=7");
    const auto other = make_family(kind + ":count=4,seed=8");
    ASSERT_TRUE(one.ok() && again.ok() && other.ok()) << kind;
    ASSERT_EQ(one->size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      bool same = true, differs = false;
      for (size_t n = 0; n < (*one)[i].steps.size(); ++n) {
        same = same && (*one)[i].steps[n].bytes_per_s == (*again)[i].steps[n].bytes_per_s;
        differs = differs || (*one)[i].steps[n].bytes_per_s != (*other)[i].steps[n].bytes_per_s;
      }
      EXPECT_TRUE(same) << kind;
      EXPECT_TRUE(differs) << kind;
    }
  }
}

TEST(Families, HaveTheMeanTheyAreAskedFor) {
  for (const char* spec : {"constant:mean=40,count=2000", "steps:mean=40", "outages:mean=40",
                           "markov:mean=40,count=400,fades=0"}) {
    const auto traces = make_family(spec);
    double mean = 0;
    for (const NamedTrace& trace : *traces) mean += trace.mean_bytes_per_s();
    EXPECT_NEAR(mean / static_cast<double>(traces->size()), 5e6, 0.3e6) << spec;
  }
}

TEST(Families, OutagesCarryNothingInThem) {
  const auto traces = make_family("outages:count=20,up=1,down=0.5");
  double down = 0, steps = 0;
  for (const NamedTrace& trace : *traces) {
    for (const auto& step : trace.steps) {
      ++steps;
      down += step.bytes_per_s == 0;
    }
  }
  EXPECT_NEAR(down / steps, 1.0 / 3, 0.05);
}

}  // namespace
}  // namespace kvcast::simulate
