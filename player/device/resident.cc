#include "player/device/resident.h"

#include <algorithm>
#include <cstring>

namespace kvcast::player {
namespace {

using kernels::Check;
using kernels::Checked;

constexpr uint64_t kAlign = kernels::kDevicePlaneAlignment;

uint64_t aligned(uint64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

}  // namespace

uint64_t Resident::needed_bytes(const StoredObject& object) {
  uint64_t bytes = 0;
  for (const manifests::ObjectSection& section : object.view().sections) {
    bytes += aligned(section.bytes.size());
  }
  return Arena::rounded(bytes);
}

Resident::Entry& Resident::entry(const Object& object) {
  const auto [found, fresh] = entries_.try_emplace(object.get());
  Entry& entry = found->second;
  if (fresh) {
    entry.object = object;
    for (const manifests::ObjectSection& section : object->view().sections) {
      entry.at.push_back(entry.bytes);
      entry.bytes += aligned(section.bytes.size());
    }
  }
  return entry;
}

void Resident::keep(const Object& object) {
  entry(object);
  uploads_.push_back(object.get());
}

void Resident::forget(const Object& object) {
  const auto found = entries_.find(object.get());
  if (found == entries_.end()) return;
  found->second.forgotten = true;
  if (found->second.holds > 0) return;
  lose_place(found->second);
  std::erase(uploads_, object.get());
  entries_.erase(found);
}

void Resident::lose_place(Entry& entry) {
  if (entry.place) memory_.arena.give_back(*entry.place);
  entry.place.reset();
  entry.sent = 0;
  entry.section = 0;
}

void Resident::drop() {
  for (auto& [object, other] : entries_) {
    if (other.holds == 0) lose_place(other);
  }
}

bool Resident::find_place(Entry& entry, bool at_others_cost) {
  while (!(entry.place = memory_.arena.take(entry.bytes))) {
    if (!at_others_cost) return false;
    Entry* oldest = nullptr;
    for (auto& [object, other] : entries_) {
      const bool may_go = other.place && other.holds == 0;
      if (may_go && (oldest == nullptr || other.used < oldest->used)) oldest = &other;
    }
    if (oldest == nullptr) return false;
    lose_place(*oldest);  // comes again when it is held; not before, or two would take turns
    std::erase(uploads_, oldest->object.get());
  }
  return true;
}

bool Resident::hold(const Object& object) {
  Entry& wanted = entry(object);
  ++wanted.holds;  // also against losing its own place
  if (!wanted.place && !find_place(wanted, true)) {
    --wanted.holds;
    return false;
  }
  wanted.used = ++clock_;
  const bool queued = std::find(uploads_.begin(), uploads_.end(), object.get()) != uploads_.end();
  if (wanted.sent < wanted.bytes && !queued) uploads_.push_back(object.get());
  return true;
}

void Resident::let_go(const Object& object) {
  Entry& held = entries_.at(object.get());
  if (--held.holds == 0 && held.forgotten) forget(object);
}

bool Resident::complete(const Object& object) const {
  const Entry& asked = entries_.at(object.get());
  return asked.place && asked.sent == asked.bytes;
}

std::optional<kernels::DevicePlane> Resident::plane(const Object& object, kernels::SectionKind kind,
                                                    uint32_t group, kernels::Side side) const {
  const Entry& held = entries_.at(object.get());
  const auto& sections = object->view().sections;
  for (size_t i = 0; i < sections.size(); ++i) {
    if (sections[i].kind == static_cast<uint16_t>(kind) && sections[i].group == group &&
        sections[i].side == static_cast<uint8_t>(side)) {
      return kernels::DevicePlane{sections[i].bytes, held.place.value() + held.at[i]};
    }
  }
  return std::nullopt;
}

// What somebody holds goes first.
Resident::Entry* Resident::next_upload() {
  const auto held = std::find_if(uploads_.begin(), uploads_.end(), [this](const auto* object) {
    return entries_.at(object).holds > 0;
  });
  if (held != uploads_.end()) {
    std::rotate(uploads_.begin(), held, held + 1);
    return &entries_.at(uploads_.front());
  }
  while (!uploads_.empty()) {
    Entry& next = entries_.at(uploads_.front());
    if (next.place || find_place(next, false)) return &next;
    uploads_.pop_front();  // no room: comes when it is held
  }
  return nullptr;
}

// Bytes [sent, sent + piece.size()) of the object's place.
void Resident::fill(Entry& entry, std::span<std::byte> piece) const {
  const uint64_t begin = entry.sent, end = begin + piece.size();
  std::memset(piece.data(), 0, piece.size());
  const auto& sections = entry.object->view().sections;
  for (; entry.section < sections.size(); ++entry.section) {
    const std::span<const std::byte> bytes = sections[entry.section].bytes;
    const uint64_t at = entry.at[entry.section];
    const uint64_t from = std::max(begin, at), to = std::min(end, at + bytes.size());
    if (from < to)
      std::memcpy(piece.data() + (from - begin), bytes.data() + (from - at), to - from);
    if (at + bytes.size() >= end) return;
  }
}

Checked<bool> Resident::upload() {
  Entry* next = next_upload();
  while (next != nullptr && next->sent == next->bytes) {
    uploads_.pop_front();
    next = next_upload();
  }
  if (next == nullptr) return false;
  auto piece = memory_.ring.next();
  if (!piece) return piece.fault();
  if (*piece == nullptr) return false;
  const uint64_t bytes = std::min<uint64_t>(memory_.ring.piece_bytes(), next->bytes - next->sent);
  fill(*next, {*piece, bytes});
  if (Check sent = memory_.ring.send(memory_.planes() + *next->place + next->sent, bytes,
                                     kernels::DeviceRuntime::stream(memory_.copies));
      !sent) {
    return sent.fault();
  }
  next->sent += bytes;
  return true;
}

}  // namespace kvcast::player
