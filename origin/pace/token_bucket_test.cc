#include "origin/pace/token_bucket.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace kvcast::origin {
namespace {

using Time = PaceClock::time_point;
const Time kStart = Time(std::chrono::hours(1));

Time at(double seconds) {
  return kStart +
         std::chrono::duration_cast<PaceClock::duration>(std::chrono::duration<double>(seconds));
}
double seconds(Time time) {
  return std::chrono::duration<double>(time - kStart).count();
}

// Sends `bytes` as Connection does, waking `lateness` after each grant is due. When the last byte
// leaves.
double send(TokenBucket& bucket, size_t bytes, double start, double lateness = 0,
            double catch_up = 0.05) {
  double ready = start, now = start;
  while (bytes > 0) {
    ready = std::max(ready, now - catch_up);
    const Grant grant = bucket.reserve(bytes, at(ready));
    bytes -= grant.bytes;
    ready = seconds(grant.when);
    now = std::max(now, ready + lateness);
  }
  return ready;
}

TEST(TokenBucket, TakesSizeOverRateAtAnyRateAndSize) {
  for (const double mbit_per_s : {0.1, 4.0, 40.0, 160.0, 10000.0}) {
    for (const size_t bytes : {1u, 100u, 4096u, 100'000u, 3'000'000u}) {
      TokenBucket bucket(Trace::constant(mbit_per_s));
      const double want = static_cast<double>(bytes) / (mbit_per_s * 125'000);
      EXPECT_NEAR(send(bucket, bytes, 0), want, 1e-6 + want * 1e-6) << mbit_per_s << " " << bytes;
    }
  }
}

TEST(TokenBucket, QuantaHoldAtMostFiveMilliseconds) {
  for (const double mbit_per_s : {0.05, 1.0, 100.0, 400.0}) {
    TokenBucket bucket(Trace::constant(mbit_per_s));
    const Grant grant = bucket.reserve(1u << 30, at(0));
    EXPECT_LE(static_cast<double>(grant.bytes) / (mbit_per_s * 125'000), 0.005);
    EXPECT_GE(grant.bytes, 1u);
  }
  TokenBucket fast(Trace::constant(1e6));
  EXPECT_LE(fast.reserve(1u << 30, at(0)).bytes, TokenBucket::kMaxQuantumBytes);
}

TEST(TokenBucket, LateWakersKeepTheRate) {
  TokenBucket bucket(Trace::constant(8));
  EXPECT_NEAR(send(bucket, 1'000'000, 0, 0.003), 1.0, 1e-3);
}

TEST(TokenBucket, ButNotAfterAStall) {
  TokenBucket bucket(Trace::constant(8));
  // Ready at 0, awake at 10: nobody was there to use what the link could carry meanwhile.
  EXPECT_NEAR(send(bucket, 1'000'000, 10), 11.0, 1e-3);
}

TEST(TokenBucket, IdleCapacityIsLost) {
  TokenBucket bucket(Trace::constant(8));
  EXPECT_NEAR(send(bucket, 100'000, 0), 0.1, 1e-6);
  EXPECT_NEAR(send(bucket, 100'000, 5), 5.1, 1e-6);
}

TEST(TokenBucket, SendersShareOneLinkInTurns) {
  constexpr size_t kSenders = 8, kBytes = 200'000;
  TokenBucket bucket(Trace::constant(8));
  std::vector<size_t> left(kSenders, kBytes);
  std::vector<double> ready(kSenders, 0);
  double last = 0;
  for (bool any = true; any;) {
    any = false;
    for (size_t i = 0; i < kSenders; ++i) {
      if (left[i] == 0) continue;
      const Grant grant = bucket.reserve(left[i], at(ready[i]));
      left[i] -= grant.bytes;
      ready[i] = seconds(grant.when);
      last = std::max(last, ready[i]);
      any = true;
    }
  }
  EXPECT_NEAR(last, kSenders * kBytes / 1e6, 1e-3);
  for (const double end : ready) EXPECT_GT(end, last * 0.97);  // they end together
}

TEST(TokenBucket, OutagesHoldEverythingBack) {
  TokenBucket bucket(std::move(*Trace::parse("0 8\n1 0\n3 8\n", "t")));
  EXPECT_NEAR(send(bucket, 1'500'000, 0), 3.5, 1e-3);
  EXPECT_NEAR(send(bucket, 100'000, 3.4), 3.6, 1e-3);
}

TEST(TokenBucket, CollapseDoesNotStretchAQuantum) {
  TokenBucket bucket(std::move(*Trace::parse("0 1000\n1 0.08\n", "t")));
  send(bucket, 124'999'000, 0);
  // The link is now as good as collapsed: no grant lasts longer than a quantum, and the bytes due
  // before it.
  for (double ready = 1; ready < 2;) {
    const Grant grant = bucket.reserve(1'000'000, at(ready));
    EXPECT_LE(seconds(grant.when) - ready, 0.15);
    ready = std::max(ready + 1e-9, seconds(grant.when));
  }
}

TEST(TokenBucket, NeverIsTold) {
  TokenBucket bucket(Trace::constant(0));
  EXPECT_EQ(bucket.reserve(10, at(0)).when, Time::max());
  TokenBucket ending(std::move(*Trace::parse("0 8\n1 0\n", "t")));
  EXPECT_NEAR(send(ending, 999'000, 0), 0.999, 1e-3);
  Grant grant;
  for (int i = 0; i < 10 && grant.when != Time::max(); ++i) grant = ending.reserve(1000, at(1));
  EXPECT_EQ(grant.when, Time::max());
}

TEST(TokenBucket, ClockStartsOnce) {
  TokenBucket bucket(std::move(*Trace::parse("0 8\n1 16\n", "t")));
  bucket.start(at(100));
  bucket.start(at(200));
  EXPECT_NEAR(send(bucket, 100'000, 100), 100.1, 1e-6);
  EXPECT_NEAR(send(bucket, 100'000, 101), 101.05, 1e-6);
}

TEST(TokenBucket, ThreadsTogetherGetNoMoreThanTheLink) {
  TokenBucket bucket(Trace::constant(8000));
  std::vector<std::thread> threads;
  std::mutex mutex;
  double last = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const double end = send(bucket, 50'000'000, 0, 0, 1e9);
      const std::lock_guard lock(mutex);
      last = std::max(last, end);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NEAR(last, 0.2, 1e-4);
}

}  // namespace
}  // namespace kvcast::origin
