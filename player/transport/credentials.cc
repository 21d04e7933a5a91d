#include "player/transport/credentials.h"

#include <algorithm>

#include "player/url.h"

namespace kvcast::player {

bool trusts(const Credentials& credentials, const std::string& url) {
  if (credentials.headers.empty() && !credentials.s3) return false;
  const std::string host = host_of(url);
  return !host.empty() && std::find(credentials.hosts.begin(), credentials.hosts.end(), host) !=
                              credentials.hosts.end();
}

void add_credentials(const Credentials& credentials, CURL* easy,
                     std::vector<std::string>& headers) {
  headers.insert(headers.end(), credentials.headers.begin(), credentials.headers.end());
  if (!credentials.s3) return;
  const Credentials::S3& s3 = *credentials.s3;
  curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, ("aws:amz:" + s3.region + ":s3").c_str());
  curl_easy_setopt(easy, CURLOPT_USERNAME, s3.access_key.c_str());
  curl_easy_setopt(easy, CURLOPT_PASSWORD, s3.secret_key.c_str());
  // Ceph's gateway refuses a signed request that does not say what its body's hash is.
  headers.emplace_back("x-amz-content-sha256: UNSIGNED-PAYLOAD");
  if (!s3.session_token.empty()) headers.push_back("x-amz-security-token: " + s3.session_token);
}

}  // namespace kvcast::player
