// S3's keys, where its other tools look for them. Never on a command line.
#pragma once

#include "manifests/result.h"
#include "manifests/store/http_exchange.h"

namespace kvcast::manifests {

// `region`: what was asked for; empty: the environment's, the file's, else us-east-1. Order and
// names: open_store.h.
Result<S3Keys> find_s3_keys(const std::string& region);

// One line of a file, or KVCAST_BEARER_TOKEN; empty: there is none.
Result<std::string> find_bearer_token(const std::string& file);

}  // namespace kvcast::manifests
