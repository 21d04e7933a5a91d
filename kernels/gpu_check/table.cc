#include "kernels/gpu_check/table.h"

#include <algorithm>
#include <cstdio>

namespace kvcast::kernels::gpu_check {
namespace {

template <typename... Args>
std::string format(const char* pattern, Args... args) {
  char line[512];
  std::snprintf(line, sizeof(line), pattern, args...);
  return line;
}

std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += format("\\u%04x", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

template <typename Row, typename Write>
std::string list(const std::vector<Row>& rows, Write write) {
  std::string all = "[";
  for (const Row& row : rows) all += (all.size() > 1 ? ", " : "") + write(row);
  return all + "]";
}

}  // namespace

bool Findings::sound() const {
  return std::all_of(checks.begin(), checks.end(),
                     [](const CheckResult& c) { return c.cases > 0 && c.failures == 0; });
}

std::string text_of(const Findings& findings) {
  std::string text = findings.device + ", " + findings.date + "\n\n";
  for (const CheckResult& check : findings.checks) {
    text += format("%-44s %8llu cases, %llu wrong\n", check.name.c_str(),
                   static_cast<unsigned long long>(check.cases),
                   static_cast<unsigned long long>(check.failures));
    if (!check.note.empty()) text += "    " + check.note + "\n";
    if (check.failures > 0) text += "    first: " + check.first_failure + "\n";
  }
  if (!findings.rates.empty()) {
    text += format("\n%-52s %10s %8s %8s  %s\n", "", "GB/s", "of copy", "in:out", "counted");
  }
  for (const Rate& rate : findings.rates) {
    const double share =
        findings.copy_bytes_per_s > 0 ? rate.bytes_per_s() / findings.copy_bytes_per_s : 0;
    text += format("%-52s %10.1f %8.3f ", rate.name.c_str(), rate.bytes_per_s() * 1e-9, share);
    text += rate.bytes_in > 0 ? format("%8.4f", rate.bytes_in / rate.bytes_out) : "        ";
    text += "  " + rate.note + "\n";
  }
  if (!findings.bars.empty()) text += "\n";
  for (const Bar& bar : findings.bars) {
    text +=
        format("%-64s %9.3f %-5s %s %-8.3f %s\n", bar.what.c_str(), bar.measured, bar.unit.c_str(),
               bar.at_most ? "<=" : ">=", bar.least, bar.met() ? "met" : "MISSED");
  }
  for (const std::string& what : findings.left_out) text += "not measured: " + what + "\n";
  return text;
}

std::string json_of(const Findings& findings) {
  std::string json = "{\"device\": " + quoted(findings.device) +
                     ", \"date\": " + quoted(findings.date) + ", \"checks\": ";
  json += list(findings.checks, [](const CheckResult& check) {
    return "{\"name\": " + quoted(check.name) + ", \"cases\": " + std::to_string(check.cases) +
           ", \"failures\": " + std::to_string(check.failures) +
           ", \"first_failure\": " + quoted(check.first_failure) +
           ", \"note\": " + quoted(check.note) + "}";
  });
  json += format(", \"copy_bytes_per_s\": %.6g, \"rows\": ", findings.copy_bytes_per_s);
  json += list(findings.rates, [](const Rate& rate) {
    return "{\"name\": " + quoted(rate.name) +
           format(
               ", \"bytes_per_s\": %.6g, \"bytes_out\": %.0f, \"bytes_in\": %.0f, "
               "\"seconds\": %.6g, \"counted\": ",
               rate.bytes_per_s(), rate.bytes_out, rate.bytes_in, rate.seconds) +
           quoted(rate.note) + "}";
  });
  json += ", \"bars\": " + list(findings.bars, [](const Bar& bar) {
            return "{\"what\": " + quoted(bar.what) + ", \"unit\": " + quoted(bar.unit) +
                   format(", \"measured\": %.6g, \"%s\": %.6g, \"met\": %s}", bar.measured,
                          bar.at_most ? "at_most" : "at_least", bar.least,
                          bar.met() ? "true" : "false");
          });
  json += ", \"not_measured\": " + list(findings.left_out, quoted);
  return json + "}\n";
}

}  // namespace kvcast::kernels::gpu_check
