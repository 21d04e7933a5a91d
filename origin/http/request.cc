#include "origin/http/request.h"

namespace kvcast::origin {

void Request::clear() {
  method = Method::kOther;
  http11 = keep_alive = true;
  body_bytes = 0;
  chunked = expects_continue = false;
  host.reset();
  for (std::string* text :
       {&method_name, &target, &range, &if_range, &if_match, &if_none_match, &if_modified_since,
        &if_unmodified_since, &accept_encoding, &authorization, &user_agent, &content_range,
        &content_encoding, &cmcd}) {
    text->clear();
  }
}

}  // namespace kvcast::origin
