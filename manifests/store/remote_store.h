// A store behind HTTP: a bucket of S3, or an origin that takes PUTs. They differ in how a request
// is signed, in what large files need (multipart), and in listing, which only S3 can.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "manifests/store.h"
#include "manifests/store/http_exchange.h"
#include "manifests/store/retry.h"

namespace kvcast::manifests {

struct RemoteStoreParams {
  std::string name;      // as the user gave it
  std::string base_url;  // of the prefix, escaped, without a slash at the end
  // Of S3: of the bucket, and what the prefix adds to a key ("" or "a/b/").
  std::string bucket_url, key_prefix;
  HttpParams http;
  RetryPolicy retry;
  unsigned parallelism = 8;
  uint64_t part_bytes = uint64_t{16} << 20;  // larger files go to S3 in parts of this size or more
  std::function<void(std::chrono::milliseconds)> sleep;  // empty: really
};

class RemoteStore final : public Store {
 public:
  explicit RemoteStore(RemoteStoreParams params);

  std::string name() const override { return params_.name; }
  unsigned parallelism() const override { return params_.parallelism; }
  Result<StagedFile> stage(const std::string& folder) override;  // in $TMPDIR
  Status put(std::vector<Upload> uploads) override;
  Result<std::optional<StoredFacts>> look(const std::string& path) override;
  Result<ReadOutcome> read(const std::string& path, const std::string& known_tag,
                           const Sink& sink) override;
  Result<bool> remove(const std::string& path) override;
  Status list(const std::string& prefix, const Visit& visit) override;
  void abandon() override;
  Status sync() override { return {}; }  // what was answered is stored

 private:
  bool is_s3() const { return params_.http.s3.has_value(); }
  std::string url_of(const std::string& path) const { return params_.base_url + "/" + path; }
  // Tries until it is answered with anything but what is worth another try.
  HttpResponse ask(const HttpRequest& request);
  bool is_worth_another(const HttpResponse& response) const;
  // False: give up.
  bool wait_before(unsigned attempt, const HttpResponse& response) const;
  Error error_of(const char* what, const std::string& path, const HttpResponse& response) const;
  Status put_one(const Upload& upload);
  Status put_whole(const Upload& upload);
  Status put_in_parts(const Upload& upload);
  Result<std::string> put_part(const Upload& upload, const std::string& upload_id, size_t part,
                               uint64_t part_bytes);
  Status complete(const Upload& upload, const std::string& upload_id,
                  const std::vector<std::string>& tags);
  // Whether a write may be conditional: until a server says that it cannot.
  bool is_conditional(const Upload& upload) const;
  bool refuses_condition(const Upload& upload, const HttpResponse& response);

  const RemoteStoreParams params_;
  HttpExchange http_;
  std::atomic<bool> conditions_work_ = true, abandoned_ = false;
};

}  // namespace kvcast::manifests
