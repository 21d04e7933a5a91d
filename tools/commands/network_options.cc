#include "tools/commands/network_options.h"

#include <cstdlib>
#include <sstream>

#include "manifests/file.h"
#include "player/url.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr uint64_t kMaxSecretBytes = 64u << 10;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::vector<std::string>> lines_of(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxSecretBytes);
  if (!bytes) return bytes.error();
  std::istringstream text(std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

manifests::Status add_headers(const NetworkOptions& options, player::Credentials& credentials) {
  credentials.headers = options.headers;
  if (!options.header_file.empty()) {
    auto lines = lines_of(options.header_file);
    if (!lines) return lines.error();
    credentials.headers.insert(credentials.headers.end(), lines->begin(), lines->end());
  }
  for (const std::string& header : credentials.headers) {
    const size_t colon = header.find(':');
    if (colon != std::string::npos && colon > 0 &&
        header.find_first_of("\r\n") == std::string::npos) {
      continue;
    }
    return Error{ErrorKind::kUsage, "a header given is no \"Name: value\""};
  }
  std::string token = from_environment("KVCAST_BEARER_TOKEN");
  if (!options.bearer_file.empty()) {
    auto lines = lines_of(options.bearer_file);
    if (!lines) return lines.error();
    if (lines->size() != 1) {
      return Error{ErrorKind::kUsage,
                   options.bearer_file + ": one line with the token is expected"};
    }
    token = lines->front();
  }
  if (!token.empty()) credentials.headers.push_back("Authorization: Bearer " + token);
  return {};
}

Result<player::Credentials::S3> s3_keys(const std::string& region) {
  player::Credentials::S3 s3;
  s3.access_key = from_environment("AWS_ACCESS_KEY_ID");
  s3.secret_key = from_environment("AWS_SECRET_ACCESS_KEY");
  s3.session_token = from_environment("AWS_SESSION_TOKEN");
  if (s3.access_key.empty() || s3.secret_key.empty()) {
    return Error{ErrorKind::kUsage,
                 "--s3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"};
  }
  for (const std::string& each :
       {region, from_environment("AWS_REGION"), from_environment("AWS_DEFAULT_REGION")}) {
    if (each.empty()) continue;
    s3.region = each;
    break;
  }
  return s3;
}

}  // namespace

void add_network_options(CLI::App& command, NetworkOptions& options) {
  const auto group = [&](CLI::Option* option) { option->group("Network"); };
  group(command.add_option("--cacert", options.ca_file,
                           "PEM file of certificates to trust instead of the system's"));
  group(command.add_option("--header", options.headers,
                           "Request header \"Name: value\"; secrets rather by --header-file"));
  group(command.add_option("--header-file", options.header_file,
                           "File with request headers, a line each"));
  group(command.add_option("--bearer-file", options.bearer_file,
                           "File with a bearer token (or KVCAST_BEARER_TOKEN)"));
  group(command.add_flag("--s3", options.s3,
                         "Sign requests for S3 (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
                         "AWS_SESSION_TOKEN, AWS_REGION)"));
  group(command.add_option("--region", options.region, "Region of --s3; default us-east-1"));
  group(command.add_option("--trust", options.trusted,
                           "URL of another host that may get headers and signatures, which "
                           "otherwise go to the first URL's host only"));
  group(command.add_flag("--http1", options.http1, "HTTP/1.1 even where HTTP/2 is offered"));
}

Result<player::CurlTransportParams> network_params(const NetworkOptions& options,
                                                   const std::string& url) {
  player::CurlTransportParams params;
  params.ca_file = options.ca_file;
  params.http2 = !options.http1;
  if (manifests::Status added = add_headers(options, params.credentials); !added) {
    return added.error();
  }
  if (options.s3) {
    auto s3 = s3_keys(options.region);
    if (!s3) return s3.error();
    params.credentials.s3 = std::move(*s3);
  }
  params.credentials.hosts = {player::host_of(url)};
  for (const std::string& other : options.trusted) {
    std::string host = player::host_of(other);
    if (host.empty()) return Error{ErrorKind::kUsage, "--trust: '" + other + "' is no http(s) URL"};
    params.credentials.hosts.push_back(std::move(host));
  }
  return params;
}

}  // namespace kvcast::tools
