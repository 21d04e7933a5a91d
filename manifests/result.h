// Errors of everything that touches files, names and bytes from outside. The kind decides a
// command's exit code.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace kvcast::manifests {

enum class ErrorKind {
  kPromise = 1,  // a promise not kept: SLO missed, verification failed
  kUsage = 2,    // the caller asked for something that makes no sense
  kIo = 3,       // file system or network
  kCorrupt = 4,  // corrupt or incompatible input
};

struct Error {
  ErrorKind kind = ErrorKind::kIo;
  std::string message;  // what was wrong, where (file, offset, chunk, tensor), what to do
};

// Success, or why not. Ignoring one is a compile error under -Werror.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error)
      : state_(std::move(error)) {}  // NOLINT: implicit so that functions can `return Error{...}`
  bool ok() const { return std::holds_alternative<std::monostate>(state_); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<std::monostate, Error> state_;
};

// A value, or why there is none. The wrong accessor throws: a bug, never bad input.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::move(error)) {}  // NOLINT
  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  T& operator*() { return std::get<T>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace kvcast::manifests
