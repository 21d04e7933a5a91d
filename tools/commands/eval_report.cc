#include "tools/commands/eval_report.h"

#include <fmt/format.h>

namespace kvcast::tools {
namespace {

using eval::EqualKlRatio;
using eval::Interval;
using eval::Row;
using eval::Summary;

nlohmann::json ci(const Interval& interval) {
  return nlohmann::json::array({interval.low, interval.high});
}

nlohmann::json ratio_json(const std::optional<Interval>& ratio) {
  if (!ratio) return nullptr;
  return {{"ratio", ratio->mean}, {"ci95", ci(*ratio)}};
}

std::string ratio_text(const std::optional<Interval>& ratio, bool bound) {
  if (!ratio) return "out of reach";
  return fmt::format("{}{:.3f} [{:.3f}, {:.3f}]", bound ? "<= " : "", ratio->mean, ratio->low,
                     ratio->high);
}

}  // namespace

std::vector<EqualKlRatio> equal_kl_ratios(std::span<const Row> rows, uint64_t elements) {
  std::vector<EqualKlRatio> ratios;
  for (const std::string& curve : eval::curves_of(rows)) {
    const std::vector<Row> points = eval::rows_of(rows, curve);
    if (points.size() < 2 || curve == "cachegen") continue;
    for (const std::string reference : {"cachegen", "kvtc-style"}) {
      if (curve == reference || (reference != "cachegen" && !curve.starts_with("kvcast:"))) {
        continue;
      }
      for (const Row& at : eval::rows_of(rows, reference)) {
        ratios.push_back(eval::equal_kl_ratio(points, at, elements));
      }
    }
  }
  return ratios;
}

nlohmann::ordered_json eval_json(std::span<const Row> rows, std::span<const EqualKlRatio> ratios,
                                 uint64_t elements) {
  nlohmann::ordered_json json;
  json["elements"] = elements;
  json["contexts"] = rows.empty() ? 0 : rows.front().samples.size();
  json["rows"] = nlohmann::json::array();
  for (const Row& row : rows) {
    const Summary summary = summarise(row, elements);
    json["rows"].push_back({{"scheme", row.curve + " " + row.label},
                            {"curve", row.curve},
                            {"bits_per_element", summary.bits_per_element},
                            {"total_bytes", summary.total_bytes},
                            {"profile_bytes", row.shared_bytes},
                            {"bits_per_element_amortised_100", summary.bits_amortised_100},
                            {"mean_kl", summary.mean_kl.mean},
                            {"mean_kl_ci95", ci(summary.mean_kl)},
                            {"top1_agreement", summary.top1_agreement.mean},
                            {"top1_agreement_ci95", ci(summary.top1_agreement)},
                            {"perplexity", summary.perplexity.mean},
                            {"perplexity_ci95", ci(summary.perplexity)}});
  }
  json["equal_kl"] = nlohmann::json::array();
  for (const EqualKlRatio& ratio : ratios) {
    json["equal_kl"].push_back({{"curve", ratio.curve},
                                {"reference", ratio.reference},
                                {"kl", ratio.kl},
                                {"bytes", ratio_json(ratio.ratio)},
                                {"bytes_amortised_100", ratio_json(ratio.amortised_100)},
                                {"upper_bound", ratio.bound}});
  }
  return json;
}

void print_eval_table(std::span<const Row> rows, std::span<const EqualKlRatio> ratios,
                      uint64_t elements) {
  fmt::print("{:<28} {:>9} {:>10} {:>11} {:>20} {:>8} {:>10}\n", "scheme", "bits/elem", "profile B",
             "bits, /100", "KL x 1e-4, 95%", "top-1 %", "perplexity");
  for (const Row& row : rows) {
    const Summary s = summarise(row, elements);
    fmt::print("{:<28} {:>9.3f} {:>10} {:>11.3f} {:>7.3f} +- {:<9.3f} {:>8.2f} {:>10.3f}\n",
               row.curve + " " + row.label, s.bits_per_element, row.shared_bytes,
               s.bits_amortised_100, 1e4 * s.mean_kl.mean, 1e4 * (s.mean_kl.high - s.mean_kl.mean),
               100 * s.top1_agreement.mean, s.perplexity.mean);
  }
  fmt::print("\nbytes at equal KL{:<13} {:<22} {:>10} {:>26} {:>26}\n", "", "reference",
             "KL x 1e-4", "ratio, 95%", "with profile / 100");
  for (const EqualKlRatio& ratio : ratios) {
    fmt::print("{:<30} {:<22} {:>10.3f} {:>26} {:>26}\n", ratio.curve, ratio.reference,
               1e4 * ratio.kl, ratio_text(ratio.ratio, ratio.bound),
               ratio_text(ratio.amortised_100, ratio.bound));
  }
}

}  // namespace kvcast::tools
