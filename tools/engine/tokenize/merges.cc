#include "tools/engine/tokenize/merges.h"

#include <functional>
#include <queue>
#include <tuple>

namespace kvcast::engine {
namespace {

constexpr size_t kNone = SIZE_MAX;

// A doubly linked list of tokens over the piece's bytes; a merged token lives at its first byte.
struct Symbol {
  uint32_t token = 0;
  size_t previous = kNone, next = kNone;
  bool alive = true;
};

struct Candidate {
  uint32_t rank;
  size_t left;                       // index of the left symbol
  uint32_t left_token, right_token;  // when it was queued: stale if they have changed
  uint32_t merged;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

using Queue = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

void consider(const MergeTable& table, const std::vector<Symbol>& symbols, size_t left,
              Queue& queue) {
  if (left == kNone || symbols[left].next == kNone) return;
  const uint32_t a = symbols[left].token, b = symbols[symbols[left].next].token;
  const auto merge = table.merges.find(MergeTable::pair_key(a, b));
  if (merge != table.merges.end())
    queue.push({merge->second.rank, left, a, b, merge->second.token});
}

bool is_stale(const Candidate& candidate, const std::vector<Symbol>& symbols) {
  const Symbol& left = symbols[candidate.left];
  return !left.alive || left.token != candidate.left_token || left.next == kNone ||
         symbols[left.next].token != candidate.right_token;
}

}  // namespace

void merge_piece(const MergeTable& table, std::string_view piece, std::vector<uint32_t>& tokens) {
  std::vector<Symbol> symbols(piece.size());
  Queue queue;
  for (size_t i = 0; i < piece.size(); ++i) {
    symbols[i].token = table.byte_token[static_cast<unsigned char>(piece[i])];
    symbols[i].previous = i == 0 ? kNone : i - 1;
    symbols[i].next = i + 1 == piece.size() ? kNone : i + 1;
  }
  for (size_t i = 0; i < piece.size(); ++i) consider(table, symbols, i, queue);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (is_stale(best, symbols)) continue;
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[left.next];
    left.token = best.merged;
    right.alive = false;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = best.left;
    consider(table, symbols, left.previous, queue);
    consider(table, symbols, best.left, queue);
  }
  for (size_t i = piece.empty() ? kNone : 0; i != kNone; i = symbols[i].next)
    tokens.push_back(symbols[i].token);
}

}  // namespace kvcast::engine
