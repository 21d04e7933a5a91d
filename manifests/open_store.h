// From what a user types to a store: "s3://bucket/prefix", "http(s)://host/prefix" (an origin that
// takes PUTs), or the path of a directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "manifests/result.h"
#include "manifests/store.h"

namespace kvcast::manifests {

// Of remote stores.
struct StoreOptions {
  std::string endpoint;       // of S3, http(s)://host[:port]; empty: AWS_ENDPOINT_URL_S3,
                              // AWS_ENDPOINT_URL, else Amazon's for the region
  std::string region;         // of S3; empty: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1
  bool virtual_host = false;  // the bucket in the host's name, not in the path
  std::string bearer_file;    // of an origin; empty: KVCAST_BEARER_TOKEN, else none
  std::string ca_file;        // PEM; empty: the system's
  unsigned attempts = 6;      // of each request, with growing pauses
  uint64_t part_bytes = uint64_t{16} << 20;  // larger files go to S3 in parts of this size or more
  int stall_limit_ms = 15'000;               // without a byte either way
};

bool is_remote_store(std::string_view location);

// S3's keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile
// AWS_PROFILE ("default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials). Nothing is sent yet.
Result<std::unique_ptr<Store>> open_store(const std::string& location,
                                          const StoreOptions& options = {});

}  // namespace kvcast::manifests
