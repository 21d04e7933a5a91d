#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "manifests/file.h"
#include "packager/calibrate.h"
#include "packager/profile_object.h"
#include "tools/commands/command.h"
#include "tools/commands/interrupt.h"
#include "tools/engine/model.h"
#include "tools/eval/calibration_measures.h"

namespace kvcast::tools {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;
using packager::CalibratedSection;
using packager::CalibrateReport;
using packager::TransformScope;

struct CalibrateOptions {
  packager::CalibrateParams params;
  std::string out, scope = "head", engine, error_weights = "gradient", profile_limit;
  eval::MeasureParams measure;
  bool json = false;
};

struct Outcome {
  CalibrateReport report;
  uint64_t profile_bytes = 0;
};

// "channel", "head", "layer", "group:N" or "all".
Status read_scope(const std::string& text, packager::CalibrateParams& params) {
  params.scope = TransformScope::kGroup;
  if (text == "channel") {
    params.scope = TransformScope::kChannel;
  } else if (text == "head") {
    params.scope = TransformScope::kHead;
  } else if (text == "all") {
    params.group_layers = 0;
  } else if (text.starts_with("group:")) {
    const std::string number = text.substr(6);
    if (number.empty() || number.size() > 4 ||
        number.find_first_not_of("0123456789") != std::string::npos || std::stoul(number) == 0) {
      return Error{ErrorKind::kUsage, fmt::format("--scope {}: N must be 1 to 9999", text)};
    }
    params.group_layers = static_cast<uint32_t>(std::stoul(number));
  } else if (text != "layer") {
    return Error{
        ErrorKind::kUsage,
        fmt::format("--scope {}: channel, head, layer, group:N or all are possible", text)};
  }
  return {};
}

// "386000" or "3%", of the engine's model.safetensors.
Status read_profile_limit(const std::string& text, const std::string& engine,
                          packager::CalibrateParams& params) {
  if (text.empty()) return {};
  const auto wrong = [&](const char* what) {
    return Error{ErrorKind::kUsage, fmt::format("--max-profile {}: {}", text, what)};
  };
  size_t read = 0;
  double number = 0;
  try {
    number = std::stod(text, &read);
  } catch (const std::exception&) {
    return wrong("a number of bytes, or a percentage of the engine's weights");
  }
  if (!(number > 0) || number > 1e15) return wrong("must be above 0");
  const std::string unit = text.substr(read);
  if (!unit.empty() && unit != "%") return wrong("a number of bytes, or a percentage");
  if (unit == "%") {
    std::error_code failed;
    const auto weights = std::filesystem::file_size(engine + "/model.safetensors", failed);
    if (failed) return wrong("a percentage needs --engine, the folder of model.safetensors");
    number *= static_cast<double>(weights) / 100;
  }
  params.max_profile_bytes = std::max(uint64_t{1}, static_cast<uint64_t>(number));
  return {};
}

std::function<void(double)> progress_line(const char* what) {
  return [what, shown = -10](double done) mutable {
    const int percent = static_cast<int>(100 * done);
    if (percent < shown + 10) return;
    shown = percent;
    fmt::print(stderr, "{}: {}%\n", what, percent);
  };
}

Result<Outcome> run_calibrate(CalibrateOptions& options) {
  if (Status scope = read_scope(options.scope, options.params); !scope.ok()) return scope.error();
  if (Status limit = read_profile_limit(options.profile_limit, options.engine, options.params);
      !limit.ok()) {
    return limit.error();
  }
  options.measure.inputs = options.params.inputs;
  std::optional<engine::Model> model;
  if (!options.engine.empty()) {
    auto loaded = engine::Model::load(options.engine);
    if (!loaded.ok()) return loaded.error();
    model = std::move(*loaded);
    auto sensitivity =
        eval::measure_sensitivity(*model, options.measure, progress_line("sensitivity"));
    if (!sensitivity.ok()) return sensitivity.error();
    options.params.sensitivity = std::move(*sensitivity);
    if (options.error_weights == "gradient" && options.params.moments.empty() &&
        options.params.scope != TransformScope::kChannel) {
      auto weights = eval::measure_error_weights(
          *model, options.measure, options.params.sink_tokens, progress_line("error weights"));
      if (!weights.ok()) return weights.error();
      options.params.error_weights = std::move(*weights);
    }
  }
  const InterruptWatch interrupt;
  auto calibrated =
      packager::calibrate(options.params, progress_line("calibrate"), interrupt.token());
  if (!calibrated.ok()) return calibrated.error();
  if (model) {
    auto agreement = eval::measure_agreement(*model, calibrated->profile, options.measure,
                                             progress_line("agreement"));
    if (!agreement.ok()) return agreement.error();
    calibrated->profile.agreement = std::move(*agreement);
  }
  const std::vector<std::byte> object = packager::write_profile_object(calibrated->profile);
  if (Status written = manifests::write_file_atomically(options.out, object); !written.ok()) {
    return written.error();
  }
  return Outcome{std::move(*calibrated), object.size()};
}

// Over all sections, by their widths.
double mean_over(const CalibrateReport& report, double CalibratedSection::*figure) {
  double sum = 0, width = 0;
  for (const CalibratedSection& section : report.sections) {
    sum += section.*figure * section.width;
    width += section.width;
  }
  return sum / width;
}

// [level]: the mean over sections, by their widths.
std::vector<double> reconstruction_gains(const CalibrateReport& report) {
  std::vector<double> gains(report.profile.levels);
  double width = 0;
  for (const CalibratedSection& section : report.sections) {
    for (size_t level = 0; level < section.reconstruction_gain_db.size(); ++level) {
      gains[level] += section.reconstruction_gain_db[level] * section.width;
    }
    width += section.width;
  }
  for (double& gain : gains) gain /= width;
  return gains;
}

nlohmann::ordered_json as_json(const CalibrateOptions& options, const Outcome& outcome) {
  const CalibrateReport& report = outcome.report;
  nlohmann::ordered_json json;
  json["profile"] = options.out;
  json["profile_bytes"] = outcome.profile_bytes;
  json["basis_bytes"] = report.basis_bytes;
  json["scope"] = options.scope;
  json["tokens"] = report.tokens;
  json["levels"] = report.profile.levels;
  json["ladder"] = options.params.ladder;
  json["step"] = options.params.step;
  json["classes"] = report.profile.classes.size();
  json["bits_per_element"] = mean_over(report, &CalibratedSection::bits_per_element);
  json["bound_bits_per_element"] = mean_over(report, &CalibratedSection::bound_bits_per_element);
  json["coding_gain_db"] = mean_over(report, &CalibratedSection::coding_gain_db);
  json["weight_gain_bits"] = mean_over(report, &CalibratedSection::weight_gain_bits);
  json["sensitivity_gain_bits"] = report.sensitivity_gain_bits;
  json["reconstruction_gain_db"] = reconstruction_gains(report);
  for (const CalibratedSection& section : report.sections) {
    json["sections"].push_back({{"group", section.group},
                                {"side", section.side == Side::kKey ? "K" : "V"},
                                {"width", section.width},
                                {"coefficients", section.coefficients},
                                {"coding_gain_db", section.coding_gain_db},
                                {"weight_gain_bits", section.weight_gain_bits},
                                {"reconstruction_gain_db", section.reconstruction_gain_db},
                                {"bits_per_element", section.bits_per_element},
                                {"bound_bits_per_element", section.bound_bits_per_element}});
  }
  json["sensitivity"] = options.params.sensitivity;
  json["agreement"] = nlohmann::json::array();
  for (const kernels::AgreementPoint& point : report.profile.agreement) {
    json["agreement"].push_back(
        {{"distortion", point.distortion}, {"top1_agreement", point.top1_agreement}});
  }
  return json;
}

void print_summary(const CalibrateOptions& options, const Outcome& outcome) {
  const CalibrateReport& report = outcome.report;
  fmt::print("{}: {} bytes ({} of bases), {} tokens, {} classes\n", options.out,
             outcome.profile_bytes, report.basis_bytes, report.tokens,
             report.profile.classes.size());
  fmt::print("{:>5} {:>4} {:>7} {:>7} {:>8} {:>12} {:>10} {:>11}\n", "group", "side", "width",
             "coded", "KLT dB", "weights bits", "bits/elem", "own tables");
  for (const CalibratedSection& section : report.sections) {
    fmt::print("{:>5} {:>4} {:>7} {:>7} {:>8.2f} {:>12.2f} {:>10.3f} {:>11.3f}\n", section.group,
               section.side == Side::kKey ? "K" : "V", section.width, section.coefficients,
               section.coding_gain_db, section.weight_gain_bits, section.bits_per_element,
               section.bound_bits_per_element);
  }
  fmt::print(
      "finest level: {:.3f} bits an element on these caches; the transform gained {:.2f} dB "
      "({:.2f} "
      "bits), the error weights {:.2f} bits at equal cost; tables of its own for every coefficient "
      "would save {:.3f} bits\n",
      mean_over(report, &CalibratedSection::bits_per_element),
      mean_over(report, &CalibratedSection::coding_gain_db),
      mean_over(report, &CalibratedSection::coding_gain_db) / (20 * std::log10(2.0)),
      mean_over(report, &CalibratedSection::weight_gain_bits),
      mean_over(report, &CalibratedSection::bits_per_element) -
          mean_over(report, &CalibratedSection::bound_bits_per_element));
  if (!options.params.sensitivity.empty()) {
    fmt::print(
        "steps by sensitivity: {:.2f} bits an element at equal cost, were every component "
        "coded\n",
        report.sensitivity_gain_bits);
  }
  fmt::print(
      "reconstruction points: {:.2f} dB less error than the middles of cells, level by "
      "level\n",
      fmt::join(reconstruction_gains(report), ", "));
  for (const kernels::AgreementPoint& point : report.profile.agreement) {
    fmt::print("distortion {:.5f}: top-1 agreement {:.4f}\n", point.distortion,
               point.top1_agreement);
  }
}

}  // namespace

void add_calibrate_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<CalibrateOptions>();
  packager::CalibrateParams& params = options->params;
  CLI::App* command =
      app.add_subcommand("calibrate", "Make a profile for a model from some of its KV caches");
  command->add_option("inputs", params.inputs, "KV caches of one model, safetensors")->required();
  command->add_option("--out", options->out, "Profile to write")->required();
  command
      ->add_option("--scope", options->scope,
                   "What is transformed together: channel (no transform), head, layer, group:N "
                   "layers, all layers")
      ->capture_default_str();
  command->add_option("--step", params.step, "Quantiser step of the finest level, normalised")
      ->capture_default_str();
  command->add_option("--rounding", params.rounding, "0.5 rounds to nearest, less zeroes more")
      ->capture_default_str();
  command
      ->add_option("--ladder", params.ladder,
                   "Low bits that each quality level drops, comma-separated: descending to 0")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--sink-tokens", params.sink_tokens, "First tokens kept exactly")
      ->capture_default_str();
  command
      ->add_option(
          "--together", params.together_layers,
          "Layers that share a section, and become ready together; 0: as few as have 1,024 "
          "channels")
      ->capture_default_str();
  command->add_option(
      "--max-profile", options->profile_limit,
      "Leave out the faintest components to keep within this many bytes, or percent "
      "of the engine's weights (3%)");
  command->add_option("--engine", options->engine,
                      "Model folder: steps by measured sensitivity, directions by gradients, and "
                      "agreement of each level");
  command
      ->add_option("--error-weights", options->error_weights,
                   "What errors cost by direction: gradient (of the engine), none")
      ->check(CLI::IsMember({"gradient", "none"}))
      ->capture_default_str();
  command->add_option("--moments", params.moments,
                      "What errors cost by direction instead: second moments of queries and output "
                      "projection, of kvcast prefill --moments or an engine of yours");
  command
      ->add_option("--continuation", options->measure.continuation,
                   "Last tokens of each cache, which the engine is asked about")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", options->measure.threads, "Of the engine; 0: one per core")
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Examples:\n"
      "  kvcast calibrate a.safetensors b.safetensors --out model.kvo\n"
      "  kvcast calibrate caches/*.safetensors --out model.kvo --scope group:4 --engine "
      "tests/data/pocket-lm --json\n"
      "  kvcast calibrate a.safetensors --moments a.moments.safetensors --out model.kvo\n"
      "  kvcast pack kv.safetensors --out store --profile model.kvo");
  command->callback([options, &exit_code] {
    const auto outcome = run_calibrate(*options);
    if (!outcome.ok()) {
      exit_code = report(outcome.error());
      return;
    }
    if (options->json) {
      fmt::print("{}\n", as_json(*options, *outcome).dump());
    } else {
      print_summary(*options, *outcome);
    }
  });
}

}  // namespace kvcast::tools
