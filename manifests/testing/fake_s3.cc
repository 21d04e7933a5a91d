#include "manifests/testing/fake_s3.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "manifests/digest.h"

namespace kvcast::manifests {
namespace {

std::string tag_of(const std::string& bytes) {
  return fmt::format("\"{:.32}\"", sha256(std::as_bytes(std::span(bytes))).hex());
}

std::string error_body(const char* code) {
  return "<Error><Code>" + std::string(code) +
         "</Code><Message>as told &amp; done</Message></Error>";
}

FakeRequest parse(const std::string& head) {
  FakeRequest request;
  std::istringstream lines(head);
  std::string line, target;
  std::getline(lines, line);
  std::istringstream(line) >> request.method >> target;
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != target.npos) request.query = target.substr(question + 1);
  if (request.path.starts_with(FakeS3::kBucket)) request.path.erase(0, 7);
  while (std::getline(lines, line) && line.size() > 1) {
    const size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    request.fields[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  return request;
}

void send_all(int socket, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<size_t>(count);
  }
}

std::string decoded(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string parameter(const std::string& query, const std::string& name) {
  const size_t at = fmt::format("&{}", query).find(fmt::format("&{}=", name));
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 1;
  return decoded(query.substr(begin, query.find('&', begin) - begin));
}

}  // namespace

FakeS3::FakeS3() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || bind(listener_, generic, length) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, generic, &length) != 0) {
    throw std::runtime_error("no listening socket on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeS3::~FakeS3() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int each : sockets_) shutdown(each, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  for (const int each : sockets_) close(each);
  close(listener_);
}

void FakeS3::accept_all() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    if (stopping_) return;
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void FakeS3::serve(int socket) {
  std::string received;
  std::optional<FakeRequest> request;
  char piece[65536];
  for (;;) {
    const size_t end = received.find("\r\n\r\n");
    if (!request && end != std::string::npos) {
      request = parse(received.substr(0, end + 4));
      received.erase(0, end + 4);
      if (request->fields.contains("expect")) send_all(socket, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (request) {
      const auto length = request->fields.find("content-length");
      const size_t bytes = length == request->fields.end() ? 0 : std::stoul(length->second);
      if (received.size() >= bytes) {
        request->body = received.substr(0, bytes);
        received.erase(0, bytes);
        if (!reply(socket, *request)) break;
        request.reset();
        continue;
      }
    }
    const ssize_t count = recv(socket, piece, sizeof(piece), 0);
    if (count <= 0) break;
    received.append(piece, static_cast<size_t>(count));
  }
  shutdown(socket, SHUT_RDWR);
}

bool FakeS3::reply(int socket, const FakeRequest& request) {
  Fault chosen = Fault::kNone;
  Answer done;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    requests_.back().body.clear();
    if (fault) chosen = fault(request);
    if (chosen == Fault::kSlowDown) {
      done = {503, "Retry-After: 1\r\n", error_body("SlowDown")};
    } else if (chosen == Fault::kServerError) {
      done = {500, "", error_body("InternalError")};
    } else if (chosen == Fault::kForbidden) {
      done = {403, "", error_body("AccessDenied")};
    } else if (chosen == Fault::kNotImplemented) {
      done = {501, "", error_body("NotImplemented")};
    } else if (chosen != Fault::kStall && chosen != Fault::kReset) {
      done = answer(request);
    }
  }
  if (chosen == Fault::kReset || chosen == Fault::kLostAnswer) return false;
  char ignored = 0;
  if (chosen == Fault::kStall) {
    while (recv(socket, &ignored, 1, 0) > 0) continue;
    return false;
  }
  const bool has_body = request.method != "HEAD" && done.status != 304 && done.status != 204;
  std::string out = "HTTP/1.1 " + std::to_string(done.status) + " As Told\r\n" + done.fields;
  if (done.status != 204) out += "Content-Length: " + std::to_string(done.body.size()) + "\r\n";
  out += "\r\n";
  if (!has_body) done.body.clear();
  const bool is_partial = chosen == Fault::kTruncate || chosen == Fault::kStallInBody;
  send_all(socket, out + (is_partial ? done.body.substr(0, done.body.size() / 2) : done.body));
  if (chosen == Fault::kStallInBody) {
    while (recv(socket, &ignored, 1, 0) > 0) continue;
  }
  return !is_partial;
}

FakeS3::Answer FakeS3::answer(const FakeRequest& request) {
  if (request.query.find("list-type=2") != std::string::npos) return list(request);
  if (request.method == "GET" || request.method == "HEAD") return get(request);
  if (request.method == "PUT") return put(request);
  if (request.method == "POST") return post(request);
  const std::string upload = parameter(request.query, "uploadId");
  upload.empty() ? objects_.erase(request.path) : uploads_.erase(upload);
  return {204, "", ""};
}

FakeS3::Answer FakeS3::get(const FakeRequest& request) {
  const auto found = objects_.find(request.path);
  if (found == objects_.end()) return {404, "", error_body("NoSuchKey")};
  const std::string& bytes = found->second;
  const std::string tag = tag_of(bytes);
  const auto field = [&](const char* name) {
    const auto at = request.fields.find(name);
    return at == request.fields.end() ? "" : at->second;
  };
  if (field("if-none-match") == tag) return {304, "ETag: " + tag + "\r\n", ""};
  if (!field("if-match").empty() && field("if-match") != tag) {
    return {412, "", error_body("PreconditionFailed")};
  }
  Answer whole{200, "ETag: " + tag + "\r\n", bytes};
  const std::string range = field("range");
  if (range.empty() || ignores_ranges) return whole;
  const size_t first = std::stoul(range.substr(6));
  whole.status = 206;
  whole.fields += "Content-Range: bytes " + std::to_string(first) + "-" +
                  std::to_string(bytes.size() - 1) + "/" + std::to_string(bytes.size()) + "\r\n";
  whole.body = bytes.substr(first);
  return whole;
}

FakeS3::Answer FakeS3::put(const FakeRequest& request) {
  const std::string tag = "ETag: " + tag_of(request.body) + "\r\n";
  if (const std::string upload = parameter(request.query, "uploadId"); !upload.empty()) {
    if (!uploads_.contains(upload)) return {404, "", error_body("NoSuchUpload")};
    uploads_[upload][std::stoi(parameter(request.query, "partNumber"))] = request.body;
    return {200, tag, ""};
  }
  if (request.fields.contains("if-none-match") && objects_.contains(request.path)) {
    return {412, "", error_body("PreconditionFailed")};
  }
  objects_[request.path] = request.body;
  return {200, tag, ""};
}

FakeS3::Answer FakeS3::post(const FakeRequest& request) {
  if (request.query == "uploads=") {
    const std::string id = "id/" + std::to_string(uploads_.size() + 1) + "&+";
    uploads_[id];
    return {200, "",
            "<X><UploadId>id/" + std::to_string(uploads_.size()) + "&amp;+</UploadId></X>"};
  }
  const auto found = uploads_.find(parameter(request.query, "uploadId"));
  if (found == uploads_.end()) return {404, "", error_body("NoSuchUpload")};
  std::string whole;
  for (const auto& [number, bytes] : found->second) {
    if (request.body.find("<PartNumber>" + std::to_string(number) + "</PartNumber>") ==
        std::string::npos) {
      return {400, "", error_body("InvalidPart")};
    }
    whole += bytes;
  }
  uploads_.erase(found);
  objects_[request.path] = std::move(whole);
  return {200, "", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"};
}

// Two keys a page.
FakeS3::Answer FakeS3::list(const FakeRequest& request) {
  const std::string prefix = fmt::format("/{}", parameter(request.query, "prefix"));
  const std::string after = parameter(request.query, "continuation-token");
  std::string body = "<ListBucketResult>";
  size_t count = 0;
  if (lists_for_ever) body += "<NextContinuationToken>again</NextContinuationToken>";
  for (auto at = objects_.upper_bound(after); at != objects_.end(); ++at) {
    if (!at->first.starts_with(prefix)) continue;
    body += "<Contents><Key>" + at->first.substr(1) + "</Key><Size>" +
            std::to_string(at->second.size()) +
            "</Size><LastModified>2026-01-31T12:00:00.000Z</LastModified></Contents>";
    if (++count == 2) {
      body += "<NextContinuationToken>" + at->first + "</NextContinuationToken>";
      break;
    }
  }
  return {200, "", body + "</ListBucketResult>"};
}

std::map<std::string, std::string> FakeS3::objects() const {
  const std::lock_guard lock(mutex_);
  return objects_;
}

void FakeS3::set(const std::string& path, std::string bytes) {
  const std::lock_guard lock(mutex_);
  objects_[path] = std::move(bytes);
}

std::vector<FakeRequest> FakeS3::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeS3::unfinished_uploads() const {
  const std::lock_guard lock(mutex_);
  return uploads_.size();
}

}  // namespace kvcast::manifests
