#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/faults/shim.h"

namespace shim {
namespace {

constexpr size_t kCalls = static_cast<size_t>(Call::kCount);

// Nothing here allocates: the calls may come from inside malloc.
struct State {
  std::atomic<bool> armed = false;
  std::array<std::atomic<uint64_t>, kCalls + 1> own{};
  std::atomic<uint64_t>* counts = own.data();
  size_t call = kCalls;
  uint64_t nth = 0;
  int error = 0;
  bool is_short = false, is_full = false, is_kill = false;
  uintptr_t crypto_begin = 0, crypto_end = 0;
  std::array<char, 4096> folders{};
  int journal_fd = -1;
  std::mutex mutex;
  std::array<std::atomic<bool>, 65536> fds{};
};

State state;

void parse_fault(const char* text) {
  const char* first = std::strchr(text, ':');
  const char* second = first ? std::strchr(first + 1, ':') : nullptr;
  if (!second) return;
  for (size_t i = 0; i < kCalls; ++i) {
    if (kCallNames[i] == std::string_view(text, static_cast<size_t>(first - text))) state.call = i;
  }
  state.nth = std::strtoull(first + 1, nullptr, 10);
  state.is_short = std::strcmp(second + 1, "short") == 0;
  state.is_full = std::strcmp(second + 1, "full") == 0;
  state.is_kill = std::strcmp(second + 1, "kill") == 0;
  state.error = state.is_full ? ENOSPC : std::atoi(second + 1);
}

void map_counts(const char* path) {
  constexpr size_t kBytes = sizeof(uint64_t) * (kCalls + 1);
  const auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
  if (fd < 0 || ::syscall(SYS_ftruncate, fd, kBytes) != 0) std::abort();
  void* const at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) std::abort();
  ::syscall(SYS_close, fd);
  state.counts = static_cast<std::atomic<uint64_t>*>(at);
}

int find_crypto(dl_phdr_info* info, size_t, void*) {
  if (!std::strstr(info->dlpi_name, "libcrypto")) return 0;
  state.crypto_begin = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    state.crypto_end =
        std::max(state.crypto_end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
  }
  return 1;
}

bool is_inside(const char* path) {
  const char* folders = state.folders.data();
  while (*folders) {
    const char* end = std::strchr(folders, ':');
    const size_t size = end ? static_cast<size_t>(end - folders) : std::strlen(folders);
    if (std::strncmp(path, folders, size) == 0 && (path[size] == '/' || path[size] == 0)) {
      return true;
    }
    folders += size + (end ? 1 : 0);
  }
  return false;
}

void put(const void* bytes, size_t count) {
  auto from = static_cast<const char*>(bytes);
  while (count > 0) {
    const long moved = ::syscall(SYS_write, state.journal_fd, from, count);
    if (moved <= 0) std::abort();
    from += moved;
    count -= static_cast<size_t>(moved);
  }
}

}  // namespace

void begin() {
  if (const char* below = std::getenv("KVCAST_SHIM_BELOW")) {
    std::strncpy(state.folders.data(), below, state.folders.size() - 1);
  }
  if (const char* fault = std::getenv("KVCAST_SHIM_FAULT")) parse_fault(fault);
  if (const char* path = std::getenv("KVCAST_SHIM_COUNTS")) map_counts(path);
  if (const char* path = std::getenv("KVCAST_SHIM_JOURNAL")) {
    const int fd = static_cast<int>(
        ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (fd < 0) std::abort();
    state.journal_fd = fd;
  }
  ::dl_iterate_phdr(find_crypto, nullptr);
  state.armed = true;
}

void end() {
  state.armed = false;
}

Verdict strike(Call call) {
  if (!state.armed) return Verdict::kGo;
  const auto index = static_cast<size_t>(call);
  const uint64_t number = ++state.counts[index];
  if (index != state.call || number < state.nth) return Verdict::kGo;
  if (number > state.nth && !state.is_full) return Verdict::kGo;
  ++state.counts[kCalls];
  if (state.is_kill) {
    const auto lock = journal_lock();  // nobody is between a call and its entry
    ::kill(::getpid(), SIGKILL);
    while (true) ::pause();
  }
  if (state.is_short) return Verdict::kShort;
  errno = state.error;
  return Verdict::kFail;
}

bool counts_for_memory(const void* caller) {
  const auto at = reinterpret_cast<uintptr_t>(caller);
  return at < state.crypto_begin || at >= state.crypto_end;
}

bool watched(const char* path) {
  return state.armed && path && path[0] == '/' && is_inside(path);
}

bool watched(int folder, const char* path) {
  if (path && path[0] == '/') return watched(path);
  return state.armed && folder >= 0 && watched(folder);
}

void remember(int fd, bool is_watched) {
  if (fd >= 0 && static_cast<size_t>(fd) < state.fds.size()) state.fds[fd] = is_watched;
}

bool watched(int fd) {
  return state.armed && fd >= 0 && static_cast<size_t>(fd) < state.fds.size() && state.fds[fd];
}

std::unique_lock<std::mutex> journal_lock() {
  if (state.journal_fd < 0) return {};
  return std::unique_lock(state.mutex);
}

void journal(const char* format, ...) {
  if (state.journal_fd < 0) return;
  std::array<char, 4096> line;
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line.data(), line.size() - 1, format, arguments);
  va_end(arguments);
  if (length < 0 || static_cast<size_t>(length) > line.size() - 2) std::abort();
  line[static_cast<size_t>(length)] = '\n';
  put(line.data(), static_cast<size_t>(length) + 1);
}

void journal_write(int fd, uint64_t offset, const void* bytes, size_t count) {
  if (state.journal_fd < 0) return;
  journal("write %llu %llu %zu", static_cast<unsigned long long>(inode_of(fd)),
          static_cast<unsigned long long>(offset), count);
  put(bytes, count);
}

uint64_t inode_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

uint64_t inode_of(const char* path) {
  struct stat info {};
  return ::fstatat(AT_FDCWD, path, &info, 0) == 0 ? info.st_ino : 0;
}

}  // namespace shim
