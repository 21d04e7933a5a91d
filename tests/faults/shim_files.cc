// Calls on files. Each judges, then asks the kernel, past the C library's own names.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "tests/faults/shim.h"

namespace {

using shim::Call;
using shim::Verdict;

using Long = unsigned long long;

// False: the call fails, errno is set. Also struck by `any`, where it changes something.
bool may(Call call, bool changes = false) {
  if (changes && shim::strike(Call::kAny) == Verdict::kFail) return false;
  return shim::strike(call) != Verdict::kFail;
}

size_t allowed(Call call, size_t count, bool changes, bool& fails) {
  fails = changes && shim::strike(Call::kAny) == Verdict::kFail;
  if (fails) return 0;
  const Verdict verdict = shim::strike(call);
  fails = verdict == Verdict::kFail;
  return verdict == Verdict::kShort ? std::max<size_t>(1, count / 2) : count;
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  const bool is_watched = shim::watched(folder, path);
  const bool creates = (flags & O_CREAT) != 0;
  if (is_watched && !may(Call::kOpen, creates)) return -1;
  const auto lock = shim::journal_lock();
  const auto fd = static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
  if (fd < 0) return fd;
  shim::remember(fd, is_watched);
  if (is_watched && creates) shim::journal("create %llu %s", Long{shim::inode_of(fd)}, path);
  if (is_watched && (flags & O_TRUNC)) shim::journal("truncate %llu 0", Long{shim::inode_of(fd)});
  return fd;
}

mode_t mode_of(int flags, va_list arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

ssize_t write_file(int fd, const void* bytes, size_t count, off_t offset) {
  bool fails = false;
  count = allowed(Call::kWrite, count, true, fails);
  if (fails) return -1;
  const auto lock = shim::journal_lock();
  const off_t at = offset >= 0 ? offset : ::lseek(fd, 0, SEEK_CUR);
  const ssize_t moved = offset >= 0 ? ::syscall(SYS_pwrite64, fd, bytes, count, offset)
                                    : ::syscall(SYS_write, fd, bytes, count);
  if (moved > 0)
    shim::journal_write(fd, static_cast<uint64_t>(at), bytes, static_cast<size_t>(moved));
  return moved;
}

int sync_file(int fd, long number) {
  if (!shim::watched(fd)) return static_cast<int>(::syscall(number, fd));
  if (!may(Call::kSync, true)) return -1;
  const auto lock = shim::journal_lock();
  const auto result = static_cast<int>(::syscall(number, fd));
  if (result == 0) shim::journal("sync %llu", Long{shim::inode_of(fd)});
  return result;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(folder, path, flags, mode);
}

// The origin asks for openat2 this way; other numbers pass.
long syscall(long number, ...) noexcept {
  static const auto real = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  const bool opens = number == SYS_openat2;
  const bool is_watched =
      opens && shim::watched(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]));
  if (is_watched && !may(Call::kOpen)) return -1;
  const long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (opens && result >= 0) shim::remember(static_cast<int>(result), is_watched);
  return result;
}

int close(int fd) {
  shim::remember(fd, false);
  return static_cast<int>(::syscall(SYS_close, fd));
}

ssize_t read(int fd, void* to, size_t count) {
  bool fails = false;
  if (shim::watched(fd)) count = allowed(Call::kRead, count, false, fails);
  return fails ? -1 : ::syscall(SYS_read, fd, to, count);
}

ssize_t pread(int fd, void* to, size_t count, off_t offset) {
  bool fails = false;
  if (shim::watched(fd)) count = allowed(Call::kRead, count, false, fails);
  return fails ? -1 : ::syscall(SYS_pread64, fd, to, count, offset);
}
ssize_t pread64(int fd, void* to, size_t count, off_t offset) {
  return pread(fd, to, count, offset);
}

ssize_t write(int fd, const void* from, size_t count) {
  if (!shim::watched(fd)) return ::syscall(SYS_write, fd, from, count);
  return write_file(fd, from, count, -1);
}

ssize_t pwrite(int fd, const void* from, size_t count, off_t offset) {
  if (!shim::watched(fd)) return ::syscall(SYS_pwrite64, fd, from, count, offset);
  return write_file(fd, from, count, offset);
}
ssize_t pwrite64(int fd, const void* from, size_t count, off_t offset) {
  return pwrite(fd, from, count, offset);
}

// libstdc++'s file streams write a head and a tail this way.
ssize_t writev(int fd, const iovec* parts, int count) {
  if (!shim::watched(fd)) return ::syscall(SYS_writev, fd, parts, count);
  ssize_t all = 0;
  for (int i = 0; i < count; ++i) {
    const ssize_t moved = write_file(fd, parts[i].iov_base, parts[i].iov_len, -1);
    if (moved < 0) return all > 0 ? all : moved;
    all += moved;
    if (static_cast<size_t>(moved) < parts[i].iov_len) break;
  }
  return all;
}

int fsync(int fd) {
  return sync_file(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return sync_file(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size) noexcept {
  if (!shim::watched(fd)) return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (!may(Call::kTruncate, true)) return -1;
  const auto lock = shim::journal_lock();
  const auto result = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (result == 0)
    shim::journal("truncate %llu %lld", Long{shim::inode_of(fd)}, static_cast<long long>(size));
  return result;
}
int ftruncate64(int fd, off_t size) noexcept {
  return ftruncate(fd, size);
}

int rename(const char* from, const char* to) noexcept {
  const bool is_watched = shim::watched(from) || shim::watched(to);
  if (is_watched && !may(Call::kRename, true)) return -1;
  const auto lock = shim::journal_lock();
  const auto result = static_cast<int>(::syscall(SYS_rename, from, to));
  if (is_watched && result == 0) shim::journal("rename %s %s", from, to);
  return result;
}

int unlink(const char* path) noexcept {
  const bool is_watched = shim::watched(path);
  if (is_watched && !may(Call::kUnlink, true)) return -1;
  const auto lock = shim::journal_lock();
  const auto result = static_cast<int>(::syscall(SYS_unlink, path));
  if (is_watched && result == 0) shim::journal("unlink %s", path);
  return result;
}

int mkdir(const char* path, mode_t mode) noexcept {
  const bool is_watched = shim::watched(path);
  if (is_watched && !may(Call::kMkdir, true)) return -1;
  const auto lock = shim::journal_lock();
  const auto result = static_cast<int>(::syscall(SYS_mkdir, path, mode));
  if (is_watched && result == 0) shim::journal("mkdir %llu %s", Long{shim::inode_of(path)}, path);
  return result;
}

int stat(const char* path, struct stat* info) noexcept {
  if (shim::watched(path) && !may(Call::kStat)) return -1;
  return static_cast<int>(::syscall(SYS_newfstatat, AT_FDCWD, path, info, 0));
}

int fstat(int fd, struct stat* info) noexcept {
  if (shim::watched(fd) && !may(Call::kStat)) return -1;
  return static_cast<int>(::syscall(SYS_fstat, fd, info));
}

}  // extern "C"
