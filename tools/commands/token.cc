#include <openssl/rand.h>

#include <fmt/format.h>
#include <array>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "manifests/layout.h"
#include "origin/token.h"
#include "tools/commands/command.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

struct TokenOptions {
  std::string keys_path, new_key;
  std::string tenant = std::string(manifests::kDefaultTenant), rights = "r";
  int64_t ttl_s = 3600;
  int64_t expires_s = 0;  // 0: now + ttl_s
  bool json = false;
};

Result<origin::TokenKeys> read_keys(const std::string& path) {
  if (!path.empty()) return origin::TokenKeys::load(path);
  if (const char* keys = std::getenv("KVCAST_TOKEN_KEYS")) {
    return origin::TokenKeys::parse(keys, "KVCAST_TOKEN_KEYS");
  }
  return Error{ErrorKind::kUsage, "which keys? Give --keys FILE, or set KVCAST_TOKEN_KEYS"};
}

int make_key(const std::string& id) {
  std::array<unsigned char, origin::kMinSecretBytes> secret{};
  if (RAND_bytes(secret.data(), static_cast<int>(secret.size())) != 1) {
    return report({ErrorKind::kIo, "no random bytes to be had for a key"});
  }
  const std::string line = fmt::format("{} {:02x}\n", id, fmt::join(secret, ""));
  if (const auto keys = origin::TokenKeys::parse(line, "--new-key"); !keys.ok()) {
    return report(keys.error());
  }
  fmt::print("{}", line);
  return 0;
}

int run(const TokenOptions& options) {
  if (!options.new_key.empty()) return make_key(options.new_key);
  const auto keys = read_keys(options.keys_path);
  if (!keys.ok()) return report(keys.error());
  if (!manifests::is_valid_name(options.tenant)) {
    return report({ErrorKind::kUsage, options.tenant + ": not a tenant's name"});
  }
  const int64_t expires_s =
      options.expires_s > 0 ? options.expires_s : std::time(nullptr) + options.ttl_s;
  const std::string token =
      origin::mint_token(keys->signing(), {options.tenant, options.rights, expires_s});
  const std::string path = fmt::format("/s/{}/{}", token, manifests::tenant_root(options.tenant));
  if (options.json) {
    fmt::print("{}\n",
               nlohmann::json{{"token", token}, {"path", path}, {"expires", expires_s}}.dump());
  } else {
    fmt::print("{}\n", path);
  }
  return 0;
}

}  // namespace

void add_token_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("token", "Make a token that opens a tenant of an origin, or a key");
  const auto options = std::make_shared<TokenOptions>();
  command->add_option("--keys", options->keys_path,
                      "File of token keys, of which the first signs; default: the keys in "
                      "KVCAST_TOKEN_KEYS");
  command->add_option("--tenant", options->tenant, "The tenant it opens")->capture_default_str();
  command->add_option("--rights", options->rights, "r reads, w writes, rw both")
      ->capture_default_str()
      ->check(CLI::IsMember({"r", "w", "rw"}));
  command->add_option("--ttl", options->ttl_s, "How long it lasts, such as 30m, 12h, 7d; seconds")
      ->capture_default_str()
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
      ->check(CLI::Range(int64_t{1}, int64_t{86400} * 3660));
  command->add_option("--expires", options->expires_s, "Instead: seconds since 1970")
      ->check(CLI::Range(int64_t{1}, int64_t{99'999'999'999}));
  command->add_option(
      "--new-key", options->new_key,
      "Print a new key's line with this id, for the file of keys, and nothing else");
  command->add_flag("--json", options->json, "One JSON object: token, path, expires");
  command->footer(
      "Prints the path to put in front of a manifest's: it holds the token.\n"
      "Examples:\n"
      "  kvcast token --new-key k1 >> keys.txt\n"
      "  kvcast token --keys keys.txt --tenant acme --ttl 12h\n"
      "  kvcast play https://host$(kvcast token --keys keys.txt --tenant acme)m/ID.json "
      "--ttft-slo-ms 500\n"
      "Exit codes: 0 done, 2 usage, 3 input/output.");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kvcast::tools
