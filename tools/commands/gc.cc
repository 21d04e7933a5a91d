#include "tools/commands/gc.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "origin/gc.h"
#include "tools/commands/command.h"

namespace kvcast::tools {
namespace {

struct GcOptions {
  origin::GcParams params;
  bool json = false;
};

void print_json(const origin::GcReport& report, bool dry_run) {
  const nlohmann::ordered_json json = {{"dry_run", dry_run},
                                       {"tenants", report.tenants},
                                       {"manifests", report.manifests},
                                       {"objects", report.objects},
                                       {"expired_manifests", report.expired_manifests},
                                       {"removed_entries", report.removed_entries},
                                       {"renamed_entries", report.renamed_entries},
                                       {"removed_objects", report.removed_objects},
                                       {"removed_uploads", report.removed_uploads},
                                       {"removed_bytes", report.removed_bytes},
                                       {"problems", report.problems}};
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_text(const origin::GcReport& report, bool dry_run) {
  fmt::print(
      "{}: looked at {} manifests and {} objects of {} tenants\n"
      "{} presentations that had expired\n"
      "{} prefix entries; {} now name another presentation\n"
      "{} objects that no manifest names, {} unfinished uploads\n"
      "{} bytes in all\n",
      dry_run ? "would remove" : "removed", report.manifests, report.objects, report.tenants,
      report.expired_manifests, report.removed_entries, report.renamed_entries,
      report.removed_objects, report.removed_uploads, report.removed_bytes);
}

int run(const GcOptions& options) {
  const auto report = origin::collect_garbage(options.params);
  if (!report.ok()) return tools::report(report.error());
  for (const std::string& problem : report->problems) {
    fmt::print(stderr, "kvcast: {}\n", problem);
  }
  options.json ? print_json(*report, options.params.dry_run)
               : print_text(*report, options.params.dry_run);
  return report->problems.empty() ? 0 : static_cast<int>(manifests::ErrorKind::kCorrupt);
}

}  // namespace

void add_gc_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "gc", "Remove what has expired from a store, and what no manifest names any more");
  const auto options = std::make_shared<GcOptions>();
  command->add_option("DIR", options->params.root, "The store: the folder that holds t/")
      ->required();
  command->add_option("--tenant", options->params.tenant, "This tenant only");
  command
      ->add_option("--grace", options->params.grace_s,
                   "Objects and unfinished uploads younger than this stay, since a publish under "
                   "way may name them; 90m, 24h, 7d, or seconds")
      ->capture_default_str()
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--dry-run", options->params.dry_run, "Remove nothing, say what would go");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Examples:\n"
      "  kvcast gc store --dry-run\n"
      "  kvcast gc store --grace 24h        a publish may take a day\n"
      "Removes presentations past their `expires`, prefix entries of presentations that are gone,\n"
      "objects that no manifest names, uploads that nobody went on with. Runs beside servers and\n"
      "packagers. A manifest that cannot be read keeps the objects of its tenant.\n"
      "Exit codes: 0 done, 2 usage, 3 input/output, 4 something was left alone (on stderr).");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kvcast::tools
