#include "origin/http/file_facts.h"

#include "origin/http/date.h"

namespace kvcast::origin {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
// Below, head and body share a packet anyway. Above, compressing would hold up the thread's other
// connections.
constexpr uint64_t kMinCompressedBytes = 1024, kMaxCompressedBytes = 4u << 20;

int64_t modified_s(const FileInfo& info) {
  // Rounded down also before 1970.
  const int64_t seconds = info.mtime_ns / kNanosecondsPerSecond;
  return info.mtime_ns % kNanosecondsPerSecond < 0 ? seconds - 1 : seconds;
}

}  // namespace

FileFacts describe_file(std::string_view path, const FileInfo& info) {
  FileFacts facts;
  facts.kind = file_kind(path);
  facts.bytes = info.bytes;
  facts.content_type = content_type(facts.kind, path);
  facts.cache_control = cache_control(facts.kind);
  facts.entity_tag = entity_tag(path, info);
  facts.last_modified_s = modified_s(info);
  facts.last_modified = format_http_date(facts.last_modified_s);
  facts.varies_by_encoding = is_worth_compressing(facts);
  return facts;
}

bool is_worth_compressing(const FileFacts& facts) {
  return facts.kind == FileKind::kManifest && facts.bytes >= kMinCompressedBytes &&
         facts.bytes <= kMaxCompressedBytes;
}

FileFacts describe_gzip(const FileFacts& whole, uint64_t gzip_bytes) {
  FileFacts facts = whole;
  facts.bytes = gzip_bytes;
  facts.content_encoding = "gzip";
  facts.entity_tag.insert(facts.entity_tag.size() - 1, "-gzip");
  return facts;
}

}  // namespace kvcast::origin
