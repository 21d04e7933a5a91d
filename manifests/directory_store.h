// A store in a directory: each file synced before it gets its name, names synced by sync().
#pragma once

#include <memory>
#include <string>

#include "manifests/store.h"

namespace kvcast::manifests {

class Folders;

class DirectoryStore final : public Store {
 public:
  // The directory is made by the first stage().
  explicit DirectoryStore(std::string root);
  ~DirectoryStore() override;

  std::string name() const override { return root_; }
  Result<StagedFile> stage(const std::string& folder) override;
  void remove_abandoned(const std::string& folder) override;
  // All are on their way to the disk before the first is waited for, so that the file system can
  // commit them together.
  Status put(std::vector<Upload> uploads) override;
  Result<std::optional<StoredFacts>> look(const std::string& path) override;
  Result<ReadOutcome> read(const std::string& path, const std::string& known_tag,
                           const Sink& sink) override;
  Result<bool> remove(const std::string& path) override;
  Status list(const std::string& prefix, const Visit& visit) override;
  Status sync() override;

 private:
  std::string full(const std::string& path) const { return root_ + "/" + path; }

  const std::string root_;
  std::unique_ptr<Folders> folders_;
};

}  // namespace kvcast::manifests
