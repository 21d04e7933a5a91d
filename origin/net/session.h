// The HTTP side of one connection: read a request, ask the router, send, log, again. Used by its
// thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "origin/http/request_parser.h"
#include "origin/http/router.h"
#include "origin/net/asio.h"
#include "origin/net/connection.h"
#include "origin/net/local.h"
#include "origin/net/shared.h"

namespace kvcast::origin {

// Linked into its thread's list of sessions as long as it lives.
class Session : public boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  enum class Audience { kPublic, kOperator };  // operators see health and metrics, and nothing else

  // Both outlive the session.
  Session(tcp::socket socket, Audience audience, Shared& shared, Local& local);

  asio::awaitable<void> serve();   // requests until the connection ends
  asio::awaitable<void> refuse();  // 503: too many connections

  void tick(Connection::Clock::time_point now) { connection_.tick(now); }
  // Ends the connection now if it is idle, else after its response. One that is new may still bring
  // its request.
  void begin_drain();
  void abort() { connection_.abort(); }

 private:
  enum class Head { kRequest, kRefused, kNone };
  struct Answer {
    ResponsePlan plan;
    std::shared_ptr<CachedFile> file;  // where the body comes from, if it is part of a file,
    std::string_view memory;           // or of its gzip form
    std::string text;                  // or made for this request
    bool paced = true;
    std::optional<Admission> fetch_first;  // set: no answer yet, the store must be asked
  };

  asio::awaitable<bool> secure();     // the TLS handshake, where there is TLS
  asio::awaitable<bool> serve_one();  // whether another request may follow
  asio::awaitable<Head> read_head();
  asio::awaitable<bool> discard_body();
  Route choose();
  Answer answer(Route chosen);
  Answer answer_file(const Admission& admission);
  Answer answer_found(const Admission& admission, std::shared_ptr<CachedFile> file, CacheUse use);
  // Of a read-through cache: how what was found, or was not, may be answered; nothing: not before
  // the store was asked.
  std::optional<CacheUse> use_of_cache(const std::string& path, CachedFile* file);
  asio::awaitable<Answer> answer_after_fetch(Admission admission);
  Answer answer_service(Service service);
  // Uploads, removals and lookups: their bodies count, and their disk is waited for elsewhere.
  // `keep_alive` becomes false where the body was not read to its end.
  asio::awaitable<Answer> take_upload(const UploadRoute& upload, bool& keep_alive);
  asio::awaitable<Answer> take_removal(const RemovalRoute& removal, bool& keep_alive);
  asio::awaitable<Answer> look_up(const LookupRoute& lookup, bool& keep_alive);
  asio::awaitable<bool> ask_for_body();  // 100, if the client waits for it
  asio::awaitable<size_t> read_body(std::span<char> to);
  asio::awaitable<bool> pass_over_body();
  Answer answer_text(int status, std::string text) const;
  Answer answer_ingest(IngestAnswer outcome) const;
  asio::awaitable<bool> send(const Answer& answer, bool keep_alive);
  bool append_small_body(const Answer& answer, std::string& to) const;
  void log(const Answer& answer, bool complete);
  void make_room();
  void take(size_t bytes);
  void skip_empty_lines();

  const Audience audience_;
  Shared& shared_;
  Local& local_;
  Connection connection_;
  std::vector<char> buffer_;
  size_t buffered_bytes_ = 0;  // at the front of buffer_, not yet understood
  Request request_;
  std::optional<RequestParser> parser_;
  int refusal_status_ = 0;  // of kRefused
  bool waiting_ = true;     // between requests, nothing of the next one read
  uint32_t served_ = 0;
  Connection::Clock::time_point idle_since_;  // when the request before was done with
  Connection::Clock::time_point started_;     // first byte of the request
  int64_t started_unix_ms_ = 0;
  LoggedTarget logged_;      // of the request
  uint64_t head_bytes_ = 0;  // of the response
};

}  // namespace kvcast::origin
