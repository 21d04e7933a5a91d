#include "manifests/store/credentials.h"

#include <cstdlib>
#include <map>
#include <sstream>

#include "manifests/file.h"

namespace kvcast::manifests {
namespace {

constexpr uint64_t kMaxFileBytes = 64u << 10;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string trimmed(std::string text) {
  const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == text.npos ? "" : text.substr(begin, end - begin + 1);
}

std::string first_of(std::initializer_list<std::string> choices) {
  for (const std::string& each : choices) {
    if (!each.empty()) return each;
  }
  return "";
}

// "[profile]" and "name = value" lines.
std::map<std::string, std::string> profile_of(const std::string& text, const std::string& profile) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  bool is_ours = false;
  for (std::string line; std::getline(lines, line);) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[') {
      is_ours = line == "[" + profile + "]";
      continue;
    }
    const size_t equals = line.find('=');
    if (!is_ours || equals == line.npos) continue;
    values[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return values;
}

}  // namespace

Result<S3Keys> find_s3_keys(const std::string& region) {
  S3Keys keys{from_environment("AWS_ACCESS_KEY_ID"), from_environment("AWS_SECRET_ACCESS_KEY"),
              from_environment("AWS_SESSION_TOKEN"), ""};
  keys.region = first_of({region, from_environment("AWS_REGION"),
                          from_environment("AWS_DEFAULT_REGION"), "us-east-1"});
  if (!keys.access_key.empty() && !keys.secret_key.empty()) return keys;
  const std::string file = first_of({from_environment("AWS_SHARED_CREDENTIALS_FILE"),
                                     from_environment("HOME") + "/.aws/credentials"});
  const std::string profile = first_of({from_environment("AWS_PROFILE"), "default"});
  const auto bytes = read_file(file, kMaxFileBytes);
  if (bytes.ok()) {
    const auto values = profile_of(
        std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()), profile);
    const auto value = [&](const char* name) {
      const auto found = values.find(name);
      return found == values.end() ? "" : found->second;
    };
    keys.access_key = value("aws_access_key_id");
    keys.secret_key = value("aws_secret_access_key");
    keys.session_token = value("aws_session_token");
  }
  if (!keys.access_key.empty() && !keys.secret_key.empty()) return keys;
  return Error{ErrorKind::kUsage,
               "S3 needs keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or "
               "profile [" +
                   profile + "] of " + file};
}

Result<std::string> find_bearer_token(const std::string& file) {
  std::string token = from_environment("KVCAST_BEARER_TOKEN");
  if (!file.empty()) {
    const auto bytes = read_file(file, kMaxFileBytes);
    if (!bytes.ok()) return bytes.error();
    token.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    if (token.empty())
      return Error{ErrorKind::kUsage, file + ": one line with the token is expected"};
  }
  for (const char c : token) {
    if (c > ' ' && c < 127) continue;
    return Error{ErrorKind::kUsage, "the bearer token holds a character no token has"};
  }
  return token;
}

}  // namespace kvcast::manifests
