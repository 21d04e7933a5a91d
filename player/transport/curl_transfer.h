// One transfer: a libcurl easy handle, what its callbacks gather, and the time limits libcurl does
// not have. One thread; not movable, since libcurl keeps pointers into it.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "player/curl_transport.h"
#include "player/transport.h"
#include "player/transport/response_parser.h"

namespace kvcast::player {

int64_t steady_now_ns();  // the one place that reads the clock of transfers

// What decides which connections a handle may use, and how it behaves on them.
bool set_connection_options(CURL* easy, const CurlTransportParams& params);

class CurlTransfer {
 public:
  // Events are appended to `events`, which must outlive the transfer.
  CurlTransfer(TransferId id, TransferRequest request, std::vector<TransferEvent>& events);
  ~CurlTransfer();
  CurlTransfer(const CurlTransfer&) = delete;
  CurlTransfer& operator=(const CurlTransfer&) = delete;

  // Sets the handle up and starts the limits. On false a failed event has been appended.
  bool begin(const CurlTransportParams& params);
  CURL* handle() const { return easy_.get(); }
  TransferId id() const { return id_; }

  // When the next limit strikes; it is expired from then on.
  int64_t expires_ns() const;

  // Appends done or failed. The handle must have left the multi handle. finish() takes what libcurl
  // says in the end.
  void finish(CURLcode code);
  void expire();

  void forgive(int64_t ns);  // as if that time had not passed
  std::vector<std::byte> take_accepted_body();

 private:
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  bool take_header(std::string_view line);
  bool take_body(std::span<const std::byte> bytes);
  void headers_complete();
  bool accepted() const;           // a response whose body is wanted
  bool stop(std::string message);  // remembers why this side broke the transfer off
  TransferFailure failure_of(CURLcode code) const;
  void push_failed(TransferFailure failure);
  bool set_options(const CurlTransportParams& params);

  struct EasyDelete {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct ListDelete {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  TransferId id_;
  TransferRequest request_;
  std::vector<TransferEvent>* events_;
  std::unique_ptr<curl_slist, ListDelete> headers_;
  std::unique_ptr<CURL, EasyDelete> easy_;
  char error_text_[CURL_ERROR_SIZE] = {};
  ParsedResponse response_;
  bool headers_complete_ = false;
  size_t header_bytes_ = 0, discarded_bytes_ = 0;
  int64_t start_ns_ = 0, last_ns_ = 0;  // of the transfer; of its latest byte
  bool first_byte_ = false;
  std::optional<std::string> stopped_;
  bool too_long_ = false;
  std::vector<std::byte> body_;
};

}  // namespace kvcast::player
