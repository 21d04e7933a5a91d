// A store in memory, for tests of all that uses stores: it can fail, and counts what it is asked.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "manifests/store.h"

namespace kvcast::manifests {

class MemoryStore final : public Store {
 public:
  std::string name() const override { return "memory"; }
  unsigned parallelism() const override { return parallelism_; }
  Result<StagedFile> stage(const std::string& folder) override;
  Status put(std::vector<Upload> uploads) override;  // one by one: a failure leaves the first ones
  Result<std::optional<StoredFacts>> look(const std::string& path) override;
  Result<ReadOutcome> read(const std::string& path, const std::string& known_tag,
                           const Sink& sink) override;
  Result<bool> remove(const std::string& path) override;
  Status list(const std::string& prefix, const Visit& visit) override;
  Status sync() override { return count(); }

  // The n-th call from now on fails (1: the next; every file of a put is one), and with `for_good`
  // all after it. 0: none does.
  void fail_on_call(size_t n, bool for_good = false);
  size_t calls() const;
  size_t reads() const;
  std::map<std::string, std::string> files() const;
  void set(const std::string& path, std::string bytes);
  void set_parallelism(unsigned threads) { parallelism_ = threads; }
  // Called by each read before it answers, without any lock; to be set before threads read.
  std::function<void(const std::string& path)> on_read;

 private:
  struct File {
    std::string bytes;
    uint64_t version = 0;
  };
  Status count();
  static StoredFacts facts_of(const File& file);

  mutable std::mutex mutex_;
  std::map<std::string, File> files_;
  size_t calls_ = 0, reads_ = 0, fail_in_ = 0;
  bool fails_for_good_ = false;
  uint64_t versions_ = 0;
  unsigned parallelism_ = 1;
};

}  // namespace kvcast::manifests
