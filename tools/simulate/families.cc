#include "tools/simulate/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <random>

namespace kvcast::simulate {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using Step = player::LinkTrace::Step;
using Values = std::map<std::string, double, std::less<>>;

constexpr double kBytesPerSPerMbit = 1e6 / 8;
constexpr double kMostSteps = 1e7;  // of all traces of a family

// Written out, so that every standard library makes the same traces.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  double exponential(double mean) { return -mean * std::log(1 - uniform()); }

 private:
  std::mt19937_64 engine_;
};

using Rates = std::vector<double>;

Rates constant(const Values& v, size_t steps, Random& random) {
  const double sd = v.at("spread");
  return Rates(steps, std::exp(sd * random.normal() - sd * sd / 2));
}

Rates uniform_steps(const Values& v, size_t steps, Random& random) {
  Rates rates;
  for (size_t i = 0; i < steps; ++i) {
    rates.push_back(v.at("low") + (v.at("high") - v.at("low")) * random.uniform());
  }
  return rates;
}

Rates markov(const Values& v, size_t steps, Random& random) {
  const double keep = std::exp(-v.at("step") / v.at("alike")), sd = v.at("sd");
  double x = sd * random.normal(), fade_left_s = 0;
  Rates rates;
  for (size_t i = 0; i < steps; ++i) {
    x = keep * x + sd * std::sqrt(1 - keep * keep) * random.normal();
    if (fade_left_s <= 0 && random.uniform() < v.at("fades") * v.at("step")) {
      fade_left_s = v.at("fade") * (0.3 + 1.4 * random.uniform());
    }
    rates.push_back(std::exp(x - sd * sd / 2) * (fade_left_s > 0 ? v.at("depth") : 1));
    fade_left_s -= v.at("step");
  }
  return rates;
}

Rates outages(const Values& v, size_t steps, Random& random) {
  const double share = v.at("up") / (v.at("up") + v.at("down"));
  bool up = random.uniform() < share;
  double left_s = random.exponential(v.at(up ? "up" : "down"));
  Rates rates;
  for (size_t i = 0; i < steps; ++i) {
    rates.push_back(up ? 1 / share : 0);
    for (left_s -= v.at("step"); left_s <= 0;
         left_s += random.exponential(v.at(up ? "up" : "down"))) {
      up = !up;
    }
  }
  return rates;
}

struct Kind {
  std::string_view name;
  Rates (*make)(const Values&, size_t, Random&);
  Values defaults;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"constant", constant, {{"spread", 0.5}}},
      {"steps", uniform_steps, {{"low", 0.1}, {"high", 1.9}}},
      {"markov",
       markov,
       {{"sd", 0.6}, {"alike", 0.5}, {"fades", 0.4}, {"fade", 0.35}, {"depth", 0.05}}},
      {"outages", outages, {{"up", 0.8}, {"down", 0.2}}},
  };
  return all;
}

const Kind* kind_of(std::string_view spec) {
  const std::string_view name = spec.substr(0, spec.find(':'));
  for (const Kind& kind : kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

Error bad_value(const std::string& spec, std::string_view item, const Values& known) {
  std::string keys;
  for (const auto& [key, value] : known) keys += (keys.empty() ? "" : ", ") + key;
  return {ErrorKind::kUsage,
          fmt::format("{}: \"{}\" is none of its keys with a number from 0 to 1e9 ({})", spec, item,
                      keys)};
}

Result<Values> values_of(const std::string& spec, const Kind& kind) {
  Values values{{"seed", 1}, {"count", 100}, {"mean", 100}, {"seconds", 60}, {"step", 0.05}};
  values.insert(kind.defaults.begin(), kind.defaults.end());
  const size_t colon = spec.find(':');
  std::string_view rest =
      colon == std::string::npos ? "" : std::string_view(spec).substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) return bad_value(spec, item, values);
    const auto found = values.find(item.substr(0, equals));
    double value = -1;
    const char* end = item.data() + item.size();
    const auto [at, error] = std::from_chars(item.data() + equals + 1, end, value);
    if (found == values.end() || error != std::errc() || at != end || !(value >= 0) ||
        value > 1e9) {
      return bad_value(spec, item, values);
    }
    found->second = value;
  }
  return values;
}

}  // namespace

bool is_family(const std::string& spec) {
  return kind_of(spec) != nullptr;
}

std::vector<std::string> family_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) names.emplace_back(kind.name);
  return names;
}

Result<std::vector<NamedTrace>> make_family(const std::string& spec) {
  const Kind* kind = kind_of(spec);
  if (kind == nullptr) {
    return Error{ErrorKind::kUsage, fmt::format("{}: no such family of links", spec)};
  }
  const auto values = values_of(spec, *kind);
  if (!values) return values.error();
  const double step_s = values->at("step"), seconds = values->at("seconds");
  const double count = std::floor(values->at("count"));
  for (const char* key : {"step", "seconds", "count", "alike", "up", "down"}) {
    const auto found = values->find(key);
    if (found != values->end() && found->second <= 0) return bad_value(spec, key, *values);
  }
  if (count > kMostTraces || seconds < step_s || count * seconds / step_s > kMostSteps) {
    return Error{ErrorKind::kUsage, fmt::format("{}: up to {} traces and {} steps in all, each of "
                                                "at least one step",
                                                spec, kMostTraces, kMostSteps)};
  }
  const auto steps = static_cast<size_t>(seconds / step_s + 1e-9);
  std::vector<NamedTrace> traces;
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    Random random(static_cast<uint64_t>(values->at("seed")) * kMostTraces + i);
    NamedTrace& trace = traces.emplace_back();
    trace.family = kind->name;
    trace.name = fmt::format("{}#{}", kind->name, i);
    trace.step_s = step_s;
    trace.seconds = static_cast<double>(steps) * step_s;
    double at_s = 0;
    for (const double rate : kind->make(*values, steps, random)) {
      trace.steps.push_back({at_s, rate * values->at("mean") * kBytesPerSPerMbit});
      at_s += step_s;
    }
  }
  return traces;
}

}  // namespace kvcast::simulate
