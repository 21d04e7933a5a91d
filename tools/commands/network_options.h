// What commands that fetch over HTTP are told about the network: certificates, credentials,
// protocol.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/curl_transport.h"

namespace kvcast::tools {

struct NetworkOptions {
  std::string ca_file, header_file, bearer_file, region;
  std::vector<std::string> headers, trusted;  // hosts beside that of the first URL
  bool s3 = false, http1 = false;
};

void add_network_options(CLI::App& command, NetworkOptions& options);

// `url`: the one the user typed; its host gets the credentials. Secrets come from files or from the
// environment: KVCAST_BEARER_TOKEN; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
// AWS_REGION or AWS_DEFAULT_REGION.
manifests::Result<player::CurlTransportParams> network_params(const NetworkOptions& options,
                                                              const std::string& url);

}  // namespace kvcast::tools
