// Everything the origin parses of a request: head, target, ranges, tags, dates, uploads' names and
// pieces; and the answer it plans for a file of 1,000 bytes.
#include <string>
#include <string_view>
#include <variant>

#include "origin/http/file_kind.h"
#include "origin/http/request_parser.h"
#include "origin/http/response.h"
#include "origin/http/router.h"
#include "origin/http/target.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::origin;
using kvcast::fuzz::expect;

void check_name(const StoredName& name) {
  const auto again = parse_stored_name(name.path());
  expect(again && *again == name, "a stored name has one spelling");
  const std::string path = name.path();
  expect(!path.starts_with('.') && path.find("/.") == std::string::npos,
         "nothing hidden is written");
}

void check_upload(const Request& request, const UploadRoute& upload, const RoutePolicy& policy) {
  check_name(upload.name);
  expect(!request.chunked && request.body_bytes <= policy.max_object_bytes, "a bounded upload");
  if (!upload.range) return;
  const UploadRange& range = *upload.range;
  expect(range.bytes == request.body_bytes, "a piece is the body");
  expect(range.first <= range.total && range.bytes <= range.total - range.first,
         "a piece lies in its object");
  expect(range.total <= policy.max_object_bytes, "objects are bounded");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const HeadLimits limits;
  Request request;
  RequestParser parser(request, limits);
  const size_t taken = parser.put(text);
  expect(taken <= size, "no more is taken than was given");
  if (!parser.done() || parser.error_status() != 0) return 0;

  const Target target = parse_target(request.target);
  expect(("/" + target.path + "/").find("/../") == std::string::npos, "no path leaves the root");
  expect(target.path.find('\0') == std::string::npos, "no path holds a NUL");
  LoggedTarget logged;
  RoutePolicy policy;
  policy.takes_uploads = true;
  const Route planned = route(request, policy, {}, 0, logged);
  if (const auto* upload = std::get_if<UploadRoute>(&planned)) {
    check_upload(request, *upload, policy);
  }
  if (const auto* removal = std::get_if<RemovalRoute>(&planned)) check_name(removal->name);
  if (std::holds_alternative<LookupRoute>(planned)) {
    expect(request.body_bytes <= kMaxLookupHashes * 32, "a bounded lookup");
  }
  if (!std::holds_alternative<FileRoute>(planned)) return 0;
  FileInfo info;
  info.bytes = 1000;
  const FileFacts facts = describe_file(target.path, info);
  const ResponsePlan plan = plan_file(request, facts, 0);
  expect(plan.status >= 200 && plan.status < 600, "an answer has a status");
  const uint64_t first = plan.body_first.value_or(0);
  expect(!plan.body_first || (first <= info.bytes && plan.body_bytes <= info.bytes - first),
         "an answer lies in its file");
  std::string head;
  append_head(plan, {}, head);
  expect(head.find("\r\n\r\n") == head.size() - 4, "an answer has one head");
  return 0;
}
