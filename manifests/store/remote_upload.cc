// Uploads of a remote store: whole, or to S3 in parts.
#include <algorithm>
#include <utility>

#include "manifests/store/remote_store.h"
#include "manifests/store/xml.h"

namespace kvcast::manifests {
namespace {

constexpr uint64_t kMaxParts = 10'000;  // of S3

bool is_success(int status) {
  return status >= 200 && status < 300;
}

std::string content_type(const std::string& path) {
  const bool is_object = path.ends_with(".kvo");
  return std::string("Content-Type: ") +
         (is_object ? "application/octet-stream" : "application/json");
}

// What caches before S3 may do: the same as before an origin.
std::string cache_control(const std::string& path) {
  return std::string("Cache-Control: public, max-age=") +
         (path.ends_with(".kvo") ? "31536000, immutable" : "10");
}

}  // namespace

bool RemoteStore::is_conditional(const Upload& upload) const {
  return is_s3() && upload.only_if_absent && conditions_work_;
}

// 501, or 400 with a code of its own: a server that knows no conditional writes. Then the write is
// repeated without, which is right as long as names say what the bytes are.
bool RemoteStore::refuses_condition(const Upload& upload, const HttpResponse& response) {
  if (!is_conditional(upload)) return false;
  const std::string code = xml_text(response.body, "Code");
  if (response.status != 501 && code != "NotImplemented") return false;
  conditions_work_ = false;
  return true;
}

Status RemoteStore::put(std::vector<Upload> uploads) {
  return for_each_at_once(uploads.size(), params_.parallelism,
                          [&](size_t i) { return put_one(uploads[i]); });
}

Status RemoteStore::put_one(const Upload& upload) {
  return is_s3() && upload.bytes > params_.part_bytes ? put_in_parts(upload) : put_whole(upload);
}

Status RemoteStore::put_whole(const Upload& upload) {
  HttpRequest request{.method = "PUT", .url = url_of(upload.path)};
  request.headers = {content_type(upload.path)};
  if (is_s3()) request.headers.push_back(cache_control(upload.path));
  if (is_conditional(upload)) request.headers.push_back("If-None-Match: *");
  request.file = &upload.file;
  request.bytes = upload.bytes;
  const HttpResponse response = ask(request);
  if (is_success(response.status)) return {};
  if (response.status == 412 && is_conditional(upload)) return {};  // another writer was faster
  if (refuses_condition(upload, response)) return put_whole(upload);
  return error_of("store", upload.path, response);
}

Status RemoteStore::put_in_parts(const Upload& upload) {
  HttpRequest begin{.method = "POST", .url = url_of(upload.path) + "?uploads="};
  begin.headers = {content_type(upload.path), cache_control(upload.path)};
  const HttpResponse begun = ask(begin);
  const std::string id = xml_text(begun.body, "UploadId");
  if (begun.status != 200 || id.empty()) return error_of("store", upload.path, begun);

  const uint64_t part_bytes =
      std::max(params_.part_bytes, (upload.bytes + kMaxParts - 1) / kMaxParts);
  std::vector<std::string> tags((upload.bytes + part_bytes - 1) / part_bytes);
  Status done = for_each_at_once(tags.size(), params_.parallelism, [&](size_t part) -> Status {
    auto tag = put_part(upload, id, part, part_bytes);
    if (!tag.ok()) return tag.error();
    tags[part] = std::move(*tag);
    return {};
  });
  if (done.ok()) done = complete(upload, id, tags);
  // Parts that are not given up cost space until a lifecycle rule removes them; a killed run's do.
  if (!done.ok()) {
    ask({.method = "DELETE", .url = url_of(upload.path) + "?uploadId=" + percent_encoded(id)});
  }
  return done;
}

Result<std::string> RemoteStore::put_part(const Upload& upload, const std::string& upload_id,
                                          size_t part, uint64_t part_bytes) {
  HttpRequest request{.method = "PUT", .url = url_of(upload.path)};
  request.url +=
      "?partNumber=" + std::to_string(part + 1) + "&uploadId=" + percent_encoded(upload_id);
  request.file = &upload.file;
  request.first = part * part_bytes;
  request.bytes = std::min(part_bytes, upload.bytes - request.first);
  HttpResponse response = ask(request);
  if (response.status == 200 && !response.entity_tag.empty()) return response.entity_tag;
  return error_of("store", upload.path + ", part " + std::to_string(part + 1), response);
}

Status RemoteStore::complete(const Upload& upload, const std::string& upload_id,
                             const std::vector<std::string>& tags) {
  HttpRequest request{.method = "POST", .url = url_of(upload.path)};
  request.url += "?uploadId=" + percent_encoded(upload_id);
  request.headers = {"Content-Type: application/xml"};
  if (is_conditional(upload)) request.headers.push_back("If-None-Match: *");
  request.text = "<CompleteMultipartUpload>";
  for (size_t part = 0; part < tags.size(); ++part) {
    request.text += "<Part><PartNumber>" + std::to_string(part + 1) + "</PartNumber><ETag>" +
                    xml_escaped(tags[part]) + "</ETag></Part>";
  }
  request.text += "</CompleteMultipartUpload>";
  const HttpResponse response = ask(request);
  // A 200 may still carry an error: the answer begins before the work is done.
  const bool failed = response.body.find("<Error>") != std::string::npos;
  if (response.status == 200 && !failed) return {};
  if (response.status == 412 && is_conditional(upload)) return {};
  // The answer to a first attempt may have been lost, and the upload is no more.
  if (response.status == 404) {
    const auto found = look(upload.path);
    if (found.ok() && *found && (*found)->bytes == upload.bytes) return {};
  }
  if (refuses_condition(upload, response)) return complete(upload, upload_id, tags);
  return error_of("complete", upload.path, response);
}

}  // namespace kvcast::manifests
