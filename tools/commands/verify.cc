#include "packager/verify.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/commands/command.h"
#include "tools/commands/salt.h"
#include "tools/commands/stored_input.h"

namespace kvcast::tools {
namespace {

using manifests::ErrorKind;
using packager::VerifyReport;

struct VerifyOptions {
  std::string input, salt_file;
  bool json = false;
};

void print_json(const VerifyReport& found) {
  nlohmann::ordered_json defects = nlohmann::ordered_json::array();
  for (const packager::Defect& defect : found.defects) {
    defects.push_back({{"file", defect.file}, {"what", defect.what}});
  }
  const nlohmann::ordered_json json = {{"ok", found.defects.empty()},
                                       {"manifests", found.manifests},
                                       {"objects", found.objects},
                                       {"object_bytes", found.object_bytes},
                                       {"sections_decoded", found.sections_decoded},
                                       {"prefix_entries", found.prefix_entries},
                                       {"kv_files", found.kv_files},
                                       {"moment_files", found.moment_files},
                                       {"defects", std::move(defects)},
                                       {"unreferenced", found.unreferenced}};
  std::printf("%s\n", json.dump().c_str());
}

void print_summary(const VerifyReport& found) {
  for (const packager::Defect& defect : found.defects) {
    std::printf("%s: %s\n", defect.file.c_str(), defect.what.c_str());
  }
  for (const std::string& file : found.unreferenced) {
    std::printf("%s: no manifest names it\n", file.c_str());
  }
  std::printf("%s\n",
              fmt::format("{}: {} manifests, {} objects ({} bytes), {} sections decoded, {} "
                          "prefix entries; {} defects, {} unreferenced objects",
                          found.defects.empty() ? "good" : "BAD", found.manifests, found.objects,
                          found.object_bytes, found.sections_decoded, found.prefix_entries,
                          found.defects.size(), found.unreferenced.size())
                  .c_str());
}

manifests::Status verify(const StoredInput& input, const packager::VerifyParams& params,
                         VerifyReport& found) {
  switch (input.kind) {
    case StoredKind::kStore:
      return packager::verify_store(input.name, params, found);
    case StoredKind::kManifest:
      packager::verify_manifest(input.text(), input.name, *input.objects, params, found);
      return {};
    case StoredKind::kObject:
      packager::verify_object(input.bytes, input.name, input.objects.get(), found);
      return {};
    case StoredKind::kPrefixEntry:
      packager::verify_prefix_entry(input.text(), input.name, found);
      return {};
    case StoredKind::kKvFile:
      packager::verify_kv_file(input.name, found);
      return {};
  }
  return {};
}

int run(const VerifyOptions& options) {
  auto salt = read_salt(options.salt_file);
  if (!salt.ok()) return report(salt.error());
  auto input = open_stored_input(options.input);
  if (!input.ok()) return report(input.error());
  VerifyReport found;
  const auto verified = verify(*input, {std::move(*salt)}, found);
  if (!verified.ok()) return report(verified.error());
  options.json ? print_json(found) : print_summary(found);
  return found.defects.empty() ? 0 : static_cast<int>(ErrorKind::kPromise);
}

}  // namespace

void add_verify_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("verify", "Check that what is stored is whole and can be decoded");
  const auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("input", options->input,
                   "Path or URL of a manifest, an object or a prefix entry, or path of a store, a "
                   "KV file or a "
                   "file of moments")
      ->required();
  command->add_option("--salt-file", options->salt_file,
                      "Salt it was packed with (else KVCAST_SALT)");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Examples:\n"
      "  kvcast verify store\n"
      "  kvcast verify http://127.0.0.1:8080/t/public/m/ID.json\n"
      "A line a defect: the file, where in it, what was expected. Exit code 1 when there are any.");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kvcast::tools
