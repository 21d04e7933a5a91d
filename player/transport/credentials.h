// Credentials on their way into a libcurl handle.
#pragma once

#include <curl/curl.h>

#include <string>
#include <vector>

#include "player/curl_transport.h"

namespace kvcast::player {

bool trusts(const Credentials& credentials, const std::string& url);

// Sets signing up, and adds to `headers` what is to be sent.
void add_credentials(const Credentials& credentials, CURL* easy, std::vector<std::string>& headers);

}  // namespace kvcast::player
