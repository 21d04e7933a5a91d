#include "player/chaos/resources.h"

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

namespace kvcast::player {
namespace {

size_t entries(const char* folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

Resources resources_now() {
  return {entries("/proc/self/fd"), entries("/proc/self/task")};
}

Resources resources_when_back(const Resources& before) {
  constexpr std::chrono::seconds kAnyMachine{30};
  const auto until = std::chrono::steady_clock::now() + kAnyMachine;
  Resources now = resources_now();
  while ((now.descriptors > before.descriptors || now.threads > before.threads) &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    now = resources_now();
  }
  return now;
}

}  // namespace kvcast::player
