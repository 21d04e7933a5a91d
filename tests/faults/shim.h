// A library to preload into a real program (LD_PRELOAD, glibc): counts its calls of one kind, makes
// the n-th fail, and writes down what it does to files, so that a power cut can be played.
//
//   KVCAST_SHIM_BELOW    folders, separated by ':'. Only files below them count, and are in the
//   journal KVCAST_SHIM_FAULT    CALL:N:ACTION. CALL: a name of kCallNames. N from 1. ACTION: an
//   errno's number
//                        (for `new` and `malloc` any), "short" (half of what was asked for is
//                        done), "full" (ENOSPC, and so all that follow) or "kill" (SIGKILL in its
//                        place)
//   KVCAST_SHIM_COUNTS   a file: u64 per call of kCallNames, then u64: how often the fault struck
//   KVCAST_SHIM_JOURNAL  a file, appended to: lines as in journal() below
//
// What happens before main and after it does not count, nor do allocations by libcrypto: OpenSSL
// 3.0 crashes when its first ones fail. Any number of threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>

namespace shim {

// Files: those below the folders. Sockets: all. `any` is every one that changes a file or folder.
enum class Call : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kRename,
  kMkdir,
  kUnlink,
  kTruncate,
  kStat,
  kSocket,
  kAccept,
  kConnect,
  kSend,
  kRecv,
  kThread,
  kNew,
  kMalloc,
  kAny,
  kCount
};
inline constexpr std::string_view kCallNames[] = {
    "open",   "read",   "write",   "sync", "rename", "mkdir",  "unlink", "truncate", "stat",
    "socket", "accept", "connect", "send", "recv",   "thread", "new",    "malloc",   "any"};
static_assert(std::size(kCallNames) == static_cast<size_t>(Call::kCount));

enum class Verdict : uint8_t { kGo, kFail, kShort };

void begin();  // main starts
void end();    // main is over

// Counts. kFail: errno is set. Does not return when the process is to be killed.
Verdict strike(Call call);

bool counts_for_memory(const void* caller);

bool watched(const char* path);
bool watched(int folder, const char* path);  // as openat takes them
void remember(int fd, bool is_watched);
bool watched(int fd);

// The order of the journal is that of the calls: hold it over call and entry. Does nothing where no
// journal is kept.
//   create INODE PATH | write INODE OFFSET BYTES, then so many bytes | truncate INODE BYTES
//   sync INODE | rename FROM TO | unlink PATH | mkdir INODE PATH
std::unique_lock<std::mutex> journal_lock();
void journal(const char* format, ...) __attribute__((format(printf, 1, 2)));
void journal_write(int fd, uint64_t offset, const void* bytes, size_t count);
uint64_t inode_of(int fd);
uint64_t inode_of(const char* path);

}  // namespace shim
