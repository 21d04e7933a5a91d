// Calls on sockets, and the start of threads.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/faults/shim.h"

namespace {

using shim::Call;
using shim::Verdict;

bool may(Call call) {
  return shim::strike(call) != Verdict::kFail;
}

// A message of one part less by half; more parts: the first alone.
msghdr shortened(const msghdr& message, iovec& part) {
  msghdr less = message;
  if (less.msg_iovlen == 0) return less;
  part = less.msg_iov[0];
  if (less.msg_iovlen == 1) part.iov_len = std::max<size_t>(1, part.iov_len / 2);
  less.msg_iov = &part;
  less.msg_iovlen = 1;
  return less;
}

ssize_t message(Call call, long number, int fd, const msghdr* content, int flags) {
  const Verdict verdict = shim::strike(call);
  if (verdict == Verdict::kFail) return -1;
  if (verdict == Verdict::kGo) return ::syscall(number, fd, content, flags);
  iovec part;
  const msghdr less = shortened(*content, part);
  return ::syscall(number, fd, &less, flags);
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  return may(Call::kSocket) ? static_cast<int>(::syscall(SYS_socket, domain, type, protocol)) : -1;
}

int connect(int fd, const sockaddr* address, socklen_t bytes) {
  return may(Call::kConnect) ? static_cast<int>(::syscall(SYS_connect, fd, address, bytes)) : -1;
}

int accept(int fd, sockaddr* address, socklen_t* bytes) {
  return may(Call::kAccept) ? static_cast<int>(::syscall(SYS_accept, fd, address, bytes)) : -1;
}

int accept4(int fd, sockaddr* address, socklen_t* bytes, int flags) {
  return may(Call::kAccept) ? static_cast<int>(::syscall(SYS_accept4, fd, address, bytes, flags))
                            : -1;
}

ssize_t send(int fd, const void* from, size_t count, int flags) {
  const Verdict verdict = shim::strike(Call::kSend);
  if (verdict == Verdict::kFail) return -1;
  if (verdict == Verdict::kShort) count = std::max<size_t>(1, count / 2);
  return ::syscall(SYS_sendto, fd, from, count, flags, nullptr, 0);
}

ssize_t sendmsg(int fd, const msghdr* content, int flags) {
  return message(Call::kSend, SYS_sendmsg, fd, content, flags);
}

ssize_t sendfile(int to, int from, off_t* offset, size_t count) noexcept {
  const Verdict verdict = shim::strike(Call::kSend);
  if (verdict == Verdict::kFail) return -1;
  if (verdict == Verdict::kShort) count = std::max<size_t>(1, count / 2);
  return ::syscall(SYS_sendfile, to, from, offset, count);
}
ssize_t sendfile64(int to, int from, off_t* offset, size_t count) noexcept {
  return sendfile(to, from, offset, count);
}

ssize_t recv(int fd, void* to, size_t count, int flags) {
  const Verdict verdict = shim::strike(Call::kRecv);
  if (verdict == Verdict::kFail) return -1;
  if (verdict == Verdict::kShort) count = std::max<size_t>(1, count / 2);
  return ::syscall(SYS_recvfrom, fd, to, count, flags, nullptr, nullptr);
}

ssize_t recvmsg(int fd, msghdr* content, int flags) {
  const Verdict verdict = shim::strike(Call::kRecv);
  if (verdict == Verdict::kFail) return -1;
  if (verdict == Verdict::kGo) return ::syscall(SYS_recvmsg, fd, content, flags);
  iovec part;
  msghdr less = shortened(*content, part);
  return ::syscall(SYS_recvmsg, fd, &less, flags);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "pthread_create"));
  return may(Call::kThread) ? real(thread, attributes, start, argument) : EAGAIN;
}

// What main does counts, and nothing else.
using Main = int (*)(int, char**, char**);
static Main real_main;

static int watched_main(int count, char** arguments, char** environment) {
  shim::begin();
  const int code = real_main(count, arguments, environment);
  shim::end();
  return code;
}

int __libc_start_main(Main main, int count, char** arguments, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  using Function = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  real_main = main;
  return real(watched_main, count, arguments, init, fini, rtld_fini, stack_end);
}

}  // extern "C"
