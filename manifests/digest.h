// SHA-256 names objects; xxh3 finds damage early. Both through their libraries (OpenSSL, xxHash).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvcast::manifests {

struct Digest {
  std::array<std::byte, 32> bytes{};
  std::string hex() const;                                      // 64 lower-case digits
  static std::optional<Digest> from_hex(std::string_view hex);  // exactly 64 lower-case digits
  auto operator<=>(const Digest&) const = default;
};

Digest sha256(std::span<const std::byte> bytes);

// SHA-256 of bytes that arrive in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::byte> bytes);
  Digest finish();  // then starts afresh

 private:
  struct State;
  std::unique_ptr<State> state_;
};

uint64_t xxh3(std::span<const std::byte> bytes);

}  // namespace kvcast::manifests
