#include "tests/damage/golden_defects.h"

#include <limits>

#include "manifests/object.h"
#include "manifests/text.h"
#include "tests/damage/worked_example.h"

namespace kvcast::damage {
namespace {

using namespace std::string_literals;
using manifests::ObjectHeader;
using manifests::ObjectKind;
using manifests::ObjectSection;

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// One byte of a section's worked example, or its size.
struct SectionDefect {
  const char* name;
  size_t offset;
  int byte;  // kCut: the section ends at `offset`, with zeros where it is longer than the example
  const char* message;
};
constexpr int kCut = -1;

constexpr SectionDefect kBase[] = {
    {"two_streams", 0, 2, "more streams than channel groups"},
    {"no_stream", 0, 0, "is in no stream"},
    {"escapes_unlisted", 4, 0, "the streams' escapes are not the section's (offset"},
    {"two_channel_groups", 8, 2, "the number of channel groups is not the profile's"},
    {"escape_width", 12, 3, "escape width is neither 2 nor"},
    {"reserved_byte", 13, 1, "zero"},
    {"class_not_in_profile", 16, 1, "class is not in the profile"},
    {"group_bit_6", 16, 0x40, "bit 6 of a channel group's byte is not zero"},
    {"padding", 17, 1, "zero"},
    {"half_a_word", 20, 13, "a reserved or padding byte just before is not zero (offset 48"},
    {"stream_past_the_end", 20, 200, "ends early: 200 bytes expected, 18 left (offset 32"},
    {"stream_of_no_groups", 24, 0, "stream of 0 channel groups, expected 1 to 1"},
    {"stream_of_two_groups", 24, 2, "stream of 2 channel groups, expected 1 to 1"},
    {"more_escapes_in_stream", 28, 2, "the streams' escapes are not the section's"},
    {"state_too_low", 34, 0, "initial state of lane 0 is below 65536"},
    {"wrong_state", 32, 0x28, "plane 0: "},
    {"wrong_word", 44, 1, "plane 0: "},
    {"truncated", 49, kCut, "plane 0: "},
    {"longer", 51, kCut, "plane 0: "},
};

constexpr SectionDefect kRefinement[] = {
    {"two_streams", 0, 2, "plane 1: more streams than channel groups"},
    {"no_stream", 0, 0, "plane 1: a channel group that is not empty is in no stream"},
    {"unused_flag", 4, 2, "an unused empty flag is not zero"},
    {"padding", 5, 1, "plane 1: "},
    {"stream_past_the_end", 8, 200, "plane 1: "},
    {"stream_of_no_groups", 12, 0, "stream of 0 channel groups"},
    {"state_too_low", 18, 0, "initial state of lane 0 is below 65536"},
    {"wrong_state", 16, 1, "plane 1: "},
    {"truncated", 27, kCut, "plane 1: "},
    {"longer", 29, kCut, "plane 1: "},
    {"absent", 0, kCut, "plane 1: "},
};

constexpr SectionDefect kSinks[] = {
    {"truncated", 5, kCut,
     "section 3 (kind 3, group 0, values, at byte 344): 5 bytes of sink tokens, expected 6"},
    {"longer", 7, kCut, "7 bytes of sink tokens, expected 6"},
};

void add_sections(const std::string& kind, const Bytes& good,
                  std::span<const SectionDefect> defects, std::vector<GoldenDefect>& all) {
  for (const SectionDefect& defect : defects) {
    Bytes bytes = good;
    if (defect.byte == kCut) {
      bytes.resize(defect.offset);
    } else {
      bytes[defect.offset] = static_cast<std::byte>(defect.byte);
    }
    all.push_back({"plane/bad_" + kind + "_" + defect.name + ".bin", bytes, defect.message});
  }
}

void add_texts(std::vector<GoldenDefect>& all) {
  ObjectHeader header;
  header.kind = ObjectKind::kText;
  header.token_count = 1;
  using Sections = std::vector<ObjectSection>;
  const Bytes id = bytes_of("1234"), utf8 = bytes_of("text"), broken = bytes_of("\xc0\x80");
  const auto add = [&](const char* name, const Sections& sections, const char* message) {
    all.push_back({std::string("text/bad_") + name + ".kvo",
                   manifests::write_object(header, sections), message});
  };
  add("no_utf8_section", {{32, 0, 0, id}}, "two sections");
  add("sections_swapped", {{33, 0, 0, utf8}, {32, 0, 0, id}}, "two sections");
  add("values_side", {{32, 0, 1, id}, {33, 0, 0, utf8}}, "two sections");
  add("id_of_three_bytes", {{32, 0, 0, std::span(id).first(3)}, {33, 0, 0, utf8}},
      "3 bytes of token ids; expected 4 for each of 1 tokens");
  add("not_utf8", {{32, 0, 0, id}, {33, 0, 0, broken}}, "section 1 is not UTF-8");
  Bytes damaged = manifests::write_text_object({{72, 105, 33}, "Hi!"});
  damaged[0xc0] = std::byte{0x49};
  all.push_back({"text/bad_changed_token.kvo", damaged, "section 0 (kind 32"});
  damaged.resize(200);
  all.push_back({"text/bad_truncated.kvo", damaged, "200 bytes here, but the header says 211"});
}

void add_prefix_entries(std::vector<GoldenDefect>& all) {
  const auto add = [&](const char* name, const char* json, const char* message) {
    all.push_back({std::string("prefix/bad_") + name + ".json", bytes_of(json), message});
  };
  add("other_version", R"({"kvcast":2,"presentation":"demo","tokens":48,"chunk":0})",
      "kvcast: found 2, expected version 1");
  add("no_version", R"({"presentation":"demo","tokens":48,"chunk":0})", "kvcast: missing");
  add("presentation_leaves_the_store",
      R"({"kvcast":1,"presentation":"../../x","tokens":48,"chunk":0})",
      "presentation: found \"../../x\", expected 1 to 64 of");
  add("tokens_not_whole_blocks", R"({"kvcast":1,"presentation":"demo","tokens":47,"chunk":0})",
      "tokens: found 47, expected a multiple of 16");
  add("no_tokens", R"({"kvcast":1,"presentation":"demo","tokens":0,"chunk":0})",
      "tokens: found 0, expected an integer from 16");
  add("chunk_beyond_all", R"({"kvcast":1,"presentation":"demo","tokens":48,"chunk":65536})",
      "chunk: found 65536, expected an integer from 0 to 65535");
  add("chunk_twice", R"({"kvcast":1,"presentation":"demo","tokens":48,"chunk":0,"chunk":1})",
      "key \"chunk\" twice");
  add("truncated", R"({"kvcast":1,"presentation":"demo","tok)", "not JSON");
}

// Two tokens, one layer, keys of 1x2 and values of 1x1, F16: 12 bytes.
std::string kv_json(const std::string& key, const std::string& value, const std::string& metadata) {
  return R"({"__metadata__":{"model":"m","weights":"w")" + metadata + R"(},"layers.0.key":)" + key +
         R"(,"layers.0.value":)" + value + "}";
}

constexpr char kNoRope[] = R"(,"rope":"{\"layout\":\"none\"}")";
const std::string kKey = R"({"dtype":"F16","shape":[2,1,2],"data_offsets":[0,8]})";
const std::string kValue = R"({"dtype":"F16","shape":[2,1,1],"data_offsets":[8,12]})";

Bytes kv_file(std::string json, size_t data_bytes = 12) {
  Bytes file(8);
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(json.size() >> 8 * i);
  const Bytes text = bytes_of(json);
  file.insert(file.end(), text.begin(), text.end());
  file.resize(file.size() + data_bytes);
  return file;
}

void add_kv_headers(std::vector<GoldenDefect>& all) {
  const auto add = [&](const char* name, const Bytes& bytes, const char* message) {
    all.push_back({std::string("kv_file/") + name + ".safetensors", bytes, message});
  };
  const std::string good = kv_json(kKey, kValue, kNoRope);
  add("good", kv_file(good), "");
  add("bad_header_past_the_end", kv_file(good + std::string(300, ' '), 0), "");
  all.back().bytes.resize(60);
  all.back().message = "runs past byte 8; is the file truncated?";
  Bytes long_header = kv_file(good);
  long_header[6] = std::byte{1};
  add("bad_header_too_long", long_header, "more than the limit of");
  add("bad_seven_bytes", Bytes(7), "too short for a safetensors file");
  add("bad_not_json", kv_file(good.substr(1)), "not JSON");
  add("bad_data_truncated", kv_file(good, 11), "layers.0.value.data_offsets");
  add("bad_range_differs_from_shape",
      kv_file(kv_json(R"({"dtype":"F16","shape":[2,1,2],"data_offsets":[0,6]})", kValue, kNoRope)),
      "layers.0.key.data_offsets: 6 bytes, but type and shape make 8");
  add("bad_range_backwards",
      kv_file(kv_json(R"({"dtype":"F16","shape":[2,1,2],"data_offsets":[8,0]})", kValue, kNoRope)),
      "layers.0.key.data_offsets[0]: found 8");
  add("bad_overlap",
      kv_file(kv_json(kKey, R"({"dtype":"F16","shape":[2,1,1],"data_offsets":[4,8]})", kNoRope)),
      "tensors layers.0.key and layers.0.value overlap");
  add("bad_shape_product_wraps",
      kv_file(kv_json(R"({"dtype":"F16","shape":[4294967296,4294967296,2],"data_offsets":[0,8]})",
                      kValue, kNoRope)),
      "the shape is too large");
  add("bad_element_type",
      kv_file(kv_json(R"({"dtype":"Q7","shape":[2,1,2],"data_offsets":[0,8]})", kValue, kNoRope)),
      "element type Q7 is unknown");
}

void add_kv_contents(std::vector<GoldenDefect>& all) {
  const auto add = [&](const char* name, const std::string& json, const char* message) {
    all.push_back({std::string("kv_file/bad_") + name + ".safetensors", kv_file(json), message});
  };
  add("keys_missing",
      R"({"__metadata__":{"model":"m","rope":"{\"layout\":\"none\"}"},"layers.0.value":)" +
          std::string(R"({"dtype":"F16","shape":[2,1,1],"data_offsets":[0,4]})") + "}",
      "tensor layers.0.key is missing");
  add("foreign_tensor",
      R"({"__metadata__":{"model":"m","rope":"{\"layout\":\"none\"}"},"model.embed":)" + kKey + "}",
      "tensor model.embed is no part of a KV");
  add("integers",
      kv_json(R"({"dtype":"I16","shape":[2,1,2],"data_offsets":[0,8]})", kValue, kNoRope),
      "tensor layers.0.key, I16 [2, 1, 2]: expected element type");
  add("two_dims", kv_json(R"({"dtype":"F16","shape":[2,2],"data_offsets":[0,8]})", kValue, kNoRope),
      "expected the shape [tokens, kv_heads, head_dim]");
  add("tokens_differ",
      kv_json(R"({"dtype":"F16","shape":[1,2,2],"data_offsets":[0,8]})", kValue, kNoRope),
      "tensor layers.0.value: ");
  add("three_token_ids", kv_json(kKey, kValue, kNoRope + R"(,"tokens":"[1,2,3]")"s),
      "metadata tokens: ");
  add("token_ids_not_json", kv_json(kKey, kValue, kNoRope + R"(,"tokens":"[1,")"s),
      "metadata tokens");
  add("rope_layout", kv_json(kKey, kValue, R"(,"rope":"{\"layout\":\"spiral\",\"theta\":10000}")"),
      "metadata rope: layout: found \"spiral\"");
  add("rope_wider_than_keys",
      kv_json(kKey, kValue,
              R"(,"rope":"{\"layout\":\"half_split\",\"theta\":10000,\"rotary_dims\":4}")"),
      "metadata rope: ");
}

// One layer: queries' moment of one head of two dims, the output projection's of one dim.
const std::string kMetadata = R"("__metadata__":{"weights":"w"},)";
const std::string kQuery =
    R"("layers.0.query_moment":{"dtype":"F32","shape":[1,2,2],"data_offsets":[0,16]})";
const std::string kOutput =
    R"("layers.0.output_moment":{"dtype":"F32","shape":[1,1,1],"data_offsets":[16,20]})";

Bytes moments_file(const std::string& json, std::vector<float> values = {1, 0, 0, 1, 1}) {
  Bytes file = kv_file("{" + json + "}", 0);
  const auto data = std::as_bytes(std::span(values));
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

void add_moments(std::vector<GoldenDefect>& all) {
  const auto add = [&](const char* name, const Bytes& bytes, const char* message) {
    all.push_back({std::string("moments/") + name + ".safetensors", bytes, message});
  };
  const std::string good = kMetadata + kQuery + "," + kOutput;
  const auto query = [&](const std::string& name, const std::string& type_and_shape) {
    return kMetadata + R"("layers.)" + name + R"(.query_moment":{)" + type_and_shape +
           R"(,"data_offsets":[0,16]},)" + kOutput;
  };
  add("good", moments_file(good), "");
  add("bad_weights_missing", moments_file(kQuery + "," + kOutput), "metadata weights: missing");
  add("bad_foreign_tensor",
      moments_file(good + R"(,"layers.0.key":{"dtype":"F32","shape":[0],"data_offsets":[20,20]})"),
      "tensor layers.0.key is no moment");
  add("bad_element_type", moments_file(query("0", R"("dtype":"I32","shape":[1,2,2])")),
      "tensor layers.0.query_moment, I32 [1, 2, 2]: expected F32");
  add("bad_not_square", moments_file(query("0", R"("dtype":"F32","shape":[1,4,1])")),
      "tensor layers.0.query_moment, F32 [1, 4, 1]: expected F32 [kv_heads, dim, dim]");
  add("bad_two_dims", moments_file(query("0", R"("dtype":"F32","shape":[2,2])")),
      "tensor layers.0.query_moment, F32 [2, 2]: expected F32 [kv_heads, dim, dim]");
  add("bad_no_heads",
      moments_file(
          kMetadata +
              R"("layers.0.query_moment":{"dtype":"F32","shape":[0,2,2],"data_offsets":[0,0]})",
          {}),
      "tensor layers.0.query_moment, F32 [0, 2, 2]: expected");
  add("bad_first_layer_missing", moments_file(query("1", R"("dtype":"F32","shape":[1,2,2])")),
      "layers.0.query_moment");
  add("bad_layers_differ",
      moments_file(good + R"(,"layers.1.query_moment":{"dtype":"F32","shape":[1,1,1],)"
                          R"("data_offsets":[20,24]})",
                   {1, 0, 0, 1, 1, 1}),
      "tensor layers.1.query_moment, F32 [1, 1, 1]: expected F32 [1, 2, 2]");
  add("bad_negative_diagonal", moments_file(good, {1, 0, 0, -1, 1}),
      "tensor layers.0.query_moment[0, 1, 1] is -1: no second moment");
  add("bad_infinite", moments_file(good, {1, std::numeric_limits<float>::infinity(), 0, 1, 1}),
      "tensor layers.0.query_moment[0, 0, 1] is inf: no second moment");
  Bytes truncated = moments_file(good);
  truncated.pop_back();
  add("bad_truncated", truncated, "layers.0.output_moment.data_offsets");
}

}  // namespace

std::vector<GoldenDefect> golden_defects() {
  std::vector<GoldenDefect> all;
  add_sections("base", example_base(), kBase, all);
  add_sections("refinement", example_refinement(), kRefinement, all);
  add_sections("sinks", example_sinks(), kSinks, all);
  add_texts(all);
  add_prefix_entries(all);
  add_kv_headers(all);
  add_kv_contents(all);
  add_moments(all);
  return all;
}

}  // namespace kvcast::damage
