#include <cstdio>
#include <memory>
#include <string>

#include "manifests/prefix_hash.h"
#include "packager/profile_object.h"
#include "tools/commands/command.h"
#include "tools/commands/inspect_profile.h"
#include "tools/commands/inspect_stored.h"
#include "tools/commands/json_text.h"
#include "tools/commands/stored_input.h"

namespace kvcast::tools {
namespace {

using manifests::Result;
using nlohmann::ordered_json;

struct InspectOptions {
  std::string input;
  bool json = false;
};

Result<ordered_json> inspect_any_object(const StoredInput& input) {
  auto json = inspect_object(input.bytes, input.name);
  if (!json.ok() || json->at("kind") != "profile") return json;
  const auto profile = packager::read_profile_object(input.bytes, input.name);
  if (!profile.ok()) return profile.error();
  json->update(inspect_profile(*profile));
  return json;
}

Result<ordered_json> inspect_prefix_entry(const StoredInput& input) {
  const auto entry = manifests::read_prefix_entry(input.text(), input.name);
  if (!entry.ok()) return entry.error();
  return ordered_json{{"kind", "prefix entry"},
                      {"presentation", entry->presentation},
                      {"tokens", entry->tokens},
                      {"chunk", entry->chunk}};
}

Result<ordered_json> inspect(const StoredInput& input) {
  switch (input.kind) {
    case StoredKind::kStore:
      return inspect_store(input.name);
    case StoredKind::kManifest:
      return inspect_manifest(input.text(), input.name);
    case StoredKind::kObject:
      return inspect_any_object(input);
    case StoredKind::kPrefixEntry:
      return inspect_prefix_entry(input);
    case StoredKind::kKvFile:
      break;
  }
  return inspect_kv_file(input.name);
}

int run(const InspectOptions& options) {
  const auto input = open_stored_input(options.input);
  if (!input.ok()) return report(input.error());
  const auto json = inspect(*input);
  if (!json.ok()) return report(json.error());
  std::printf("%s", options.json ? (json->dump() + "\n").c_str() : json_as_text(*json).c_str());
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("inspect", "Show what is in a manifest, object, KV file or store");
  const auto options = std::make_shared<InspectOptions>();
  command
      ->add_option("input", options->input,
                   "Path or URL of a manifest or an object, or path of a KV file or a store")
      ->required();
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Examples:\n"
      "  kvcast inspect store\n"
      "  kvcast inspect store/t/public/m/ID.json --json\n"
      "  kvcast inspect http://127.0.0.1:8080/t/public/m/ID.json\n"
      "  kvcast inspect kv.safetensors");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kvcast::tools
