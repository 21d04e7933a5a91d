// Side information stays small at the shape of an 8B-class model. Two of its layers, since sections
// are by layer there; 4,096 tokens, over which the exact sinks (2% of the first 1,024) spread.
#include "packager/side_information.h"

#include <gtest/gtest.h>

#include <string>

#include "packager/packager.h"
#include "packager/testing/folder.h"
#include "packager/testing/stored.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

SideInformation of_chunks(uint32_t chunk_tokens) {
  const TestFolder folder;
  SyntheticKv kv;
  kv.geometry = {2, 8, 128, 8, 128};
  kv.tokens = 4096;
  stream_kv_file(folder / "kv.safetensors", kv);
  PackParams params;
  params.input = folder / "kv.safetensors";
  params.out = folder / "store";
  params.chunk_tokens = chunk_tokens;
  params.include_text = false;
  const auto packed = pack(params);
  if (!packed.ok()) throw std::runtime_error(packed.error().message);
  const std::string root = params.out + "/t/public";
  const auto sums =
      side_information(root, packed->manifest, Stored(root, packed->manifest).profile());
  if (!sums.ok()) throw std::runtime_error(sums.error().message);
  EXPECT_EQ(sums->stored_bytes, packed->bytes_by_level.back());
  return *sums;
}

TEST(SideInformation, OfChunksOf1024TokensIsBelowTwoPercent) {
  const SideInformation sums = of_chunks(1024);
  RecordProperty("share", std::to_string(sums.share()));
  EXPECT_GT(sums.share(), 0.001);
  EXPECT_LT(sums.share(), 0.02);
}

TEST(SideInformation, OfChunksOf256TokensIsBelowFivePercent) {
  const SideInformation sums = of_chunks(256);
  RecordProperty("share", std::to_string(sums.share()));
  EXPECT_GT(sums.share(), 0.001);
  EXPECT_LT(sums.share(), 0.05);
}

}  // namespace
}  // namespace kvcast::packager
