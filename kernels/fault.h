// What is wrong with bytes a kernel was asked to read. A kernel knows spans, not files: the caller adds the name of
// the file, the chunk and the section.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace kvcast::kernels {

struct Fault {
  std::string what;       // what was found and what was expected
  size_t offset = 0;      // byte offset in the section (or index in the tensor, where `what` says so)
};

// Nothing, or the first fault found. Ignoring it is a compile error under -Werror.
class [[nodiscard]] Check {
 public:
  Check() = default;
  Check(Fault fault) : fault_(std::move(fault)) {}  // NOLINT: implicit so that readers can `return Fault{...}`
  bool ok() const { return !fault_; }
  explicit operator bool() const { return ok(); }
  const Fault& fault() const { return *fault_; }

 private:
  std::optional<Fault> fault_;
};

// A value, or the fault that prevented it. Calling the wrong accessor throws (a bug, not bad input).
template <typename T>
class [[nodiscard]] Checked {
 public:
  Checked(T value) : state_(std::move(value)) {}      // NOLINT: implicit by design
  Checked(Fault fault) : state_(std::move(fault)) {}  // NOLINT
  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  T& operator*() { return std::get<T>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  const Fault& fault() const { return std::get<Fault>(state_); }

 private:
  std::variant<T, Fault> state_;
};

}  // namespace kvcast::kernels
