// Objects over HTTP, with the player's downloader: retries, failover among base URLs, digests.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "manifests/manifest.h"
#include "packager/verify.h"
#include "player/curl_transport.h"
#include "player/download.h"

namespace kvcast::tools {

// One thread at a time.
class UrlReader final : public packager::ObjectReader {
 public:
  UrlReader() : downloader_(transport_) {}

  manifests::Result<std::vector<std::byte>> fetch(const std::string& url);
  manifests::Status set_bases(const std::string& manifest_url,
                              std::span<const manifests::BaseUrl> bases);

  manifests::Result<std::vector<std::byte>> read(const manifests::ObjectRef& object) override;
  std::string name(const manifests::Digest& digest) const override;

 private:
  manifests::Result<std::vector<std::byte>> wait(player::DownloadRequest request);

  player::CurlTransport transport_;
  player::Downloader downloader_;
};

}  // namespace kvcast::tools
