#include "tools/reality/shaped_link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace kvcast::reality {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr double kPayloadShare = 1448.0 / 1514;  // of a full Ethernet frame, timestamps on
constexpr int kBurstBytes = 16'000;
constexpr int kQueueMs = 200;  // of bytes that wait at the near end before any is dropped

// A program by name, found on PATH or in /usr/sbin, quiet. Whether it exits 0.
bool run(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string in_sbin = "/usr/sbin/" + words.front();
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    execvp(arguments.front(), arguments.data());
    execv(in_sbin.c_str(), arguments.data());
    _exit(127);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Result<std::unique_ptr<ShapedLink>> ShapedLink::make(double bytes_per_s) {
  const auto lacks = [](const char* what) {
    return Error{ErrorKind::kUsage, fmt::format("no link of the kernel's here: {}", what)};
  };
  if (geteuid() != 0) return lacks("it takes root");
  // Names and addresses differ from process to process, so that two runs do not meet.
  const auto number = static_cast<unsigned>(getpid()) % 16'384;
  const std::string name = fmt::format("kvcast{}", number), far = name + "f";
  const std::string net = fmt::format("10.203.{}.", number / 64);
  const unsigned first = 4 * (number % 64);
  const std::string near_address = fmt::format("{}{}", net, first + 1);
  const std::string far_address = fmt::format("{}{}", net, first + 2);
  if (!run({"ip", "netns", "add", name})) return lacks("`ip netns add` does not work");
  std::unique_ptr<ShapedLink> link(new ShapedLink(name, near_address));
  const std::string rate = fmt::format("{:.0f}bit", 8 * bytes_per_s / kPayloadShare);
  if (!run({"ip", "link", "add", name, "type", "veth", "peer", "name", far}) ||
      !run({"ip", "link", "set", far, "netns", name}) ||
      !run({"ip", "address", "add", near_address + "/30", "dev", name}) ||
      !run({"ip", "link", "set", name, "up"}) ||
      !run({"ip", "-n", name, "address", "add", far_address + "/30", "dev", far}) ||
      !run({"ip", "-n", name, "link", "set", far, "up"}) ||
      !run({"ip", "-n", name, "link", "set", "lo", "up"})) {
    return lacks("a pair of virtual Ethernet devices cannot be set up");
  }
  if (!run({"tc", "qdisc", "add", "dev", name, "root", "tbf", "rate", rate, "burst",
            fmt::format("{}", kBurstBytes), "latency", fmt::format("{}ms", kQueueMs)})) {
    return lacks("`tc qdisc add ... tbf` does not work");
  }
  return link;
}

ShapedLink::~ShapedLink() {
  run({"ip", "link", "del", name_});
  run({"ip", "netns", "del", name_});
}

Status ShapedLink::enter() const {
  for (const char* folder : {"/run/netns/", "/var/run/netns/"}) {
    const int space = open((folder + name_).c_str(), O_RDONLY | O_CLOEXEC);
    if (space < 0) continue;
    const int failed = setns(space, CLONE_NEWNET);
    const int why = errno;
    close(space);
    if (failed == 0) return {};
    return Error{ErrorKind::kIo, fmt::format("setns {}: {}", name_, std::strerror(why))};
  }
  return Error{ErrorKind::kIo, fmt::format("the network namespace {} is gone", name_)};
}

}  // namespace kvcast::reality
