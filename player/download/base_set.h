// The base URLs objects may come from, and which of them are out of favour until when. Pure: time
// and randomness come in from outside.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace kvcast::player {

struct Base {
  std::string url;                // absolute, of a tenant's root
  std::string host;               // of it (url.h)
  uint32_t priority = 1;          // lower first
  uint32_t weight = 1;            // share among equals
  int64_t excluded_until_ns = 0;  // soft: passed over while another will do
  int64_t closed_until_ns = 0;    // hard: it asked for this by Retry-After
};

class BaseSet {
 public:
  struct Choice {
    size_t base = 0;
    bool favoured = false;    // neither excluded nor closed: an attempt may start at once
    int64_t earliest_ns = 0;  // else not before this
  };

  void assign(std::vector<Base> bases) { bases_ = std::move(bases); }
  const Base& at(size_t base) const { return bases_[base]; }
  size_t size() const { return bases_.size(); }

  // Of the bases not in `avoided`: one of the lowest priority that is in favour, by weight; with
  // none in favour, the one that opens and then returns to favour first. Nothing when all are
  // avoided.
  std::optional<Choice> choose(const std::vector<size_t>& avoided, int64_t now_ns,
                               std::mt19937_64& random) const;

  bool favours(size_t base, int64_t now_ns) const;
  void exclude(size_t base, int64_t until_ns);
  void close(size_t base, int64_t until_ns);

 private:
  size_t choose_by_weight(const std::vector<size_t>& equals, std::mt19937_64& random) const;
  std::vector<Base> bases_;
};

}  // namespace kvcast::player
