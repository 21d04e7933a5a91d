#include "tools/commands/url_reader.h"

#include <chrono>
#include <utility>

#include "manifests/layout.h"

namespace kvcast::tools {
namespace {

// Objects by URL too: a plane of a chunk of the largest models.
constexpr uint64_t kMaxFetchBytes = uint64_t{4} << 30;

}  // namespace

manifests::Result<std::vector<std::byte>> UrlReader::wait(player::DownloadRequest request) {
  const player::DownloadId id = downloader_.start(std::move(request));
  while (true) {
    for (player::DownloadEvent& event : downloader_.poll(std::chrono::seconds(1))) {
      if (event.id != id) continue;
      if (event.kind == player::DownloadEvent::Kind::kComplete) return std::move(event.bytes);
      if (event.kind == player::DownloadEvent::Kind::kFailed) return *event.error;
    }
  }
}

manifests::Result<std::vector<std::byte>> UrlReader::fetch(const std::string& url) {
  player::DownloadRequest request;
  request.name = url;
  request.url = url;
  request.size_limit_bytes = kMaxFetchBytes;
  return wait(std::move(request));
}

manifests::Status UrlReader::set_bases(const std::string& manifest_url,
                                       std::span<const manifests::BaseUrl> bases) {
  return downloader_.set_bases(manifest_url, bases);
}

manifests::Result<std::vector<std::byte>> UrlReader::read(const manifests::ObjectRef& object) {
  player::DownloadRequest request;
  request.name = name(object.digest);
  request.object = object;
  return wait(std::move(request));
}

std::string UrlReader::name(const manifests::Digest& digest) const {
  return manifests::object_path_in_tenant(digest);
}

}  // namespace kvcast::tools
