# Varnish (7) as a cache in front of kvcast-origin. Replace what is in capitals.
#
# Tokens (/s/<token>/t/<tenant>/...) are checked by the origin: a request first asks it about the tenant's root
# (204: good), then starts again with the token taken off the cache key. Only the fetch of what is not cached
# carries it on. Log with
#   varnishncsa -F '{"time":"%{%FT%TZ}t","path":"%{X-Kvcast-Path}i","status":%s,"bytes":%b}'
# never with %r or %U, which hold the token.
vcl 4.1;

backend origin {
  .host = "127.0.0.1";
  .port = "ORIGIN_PORT";
  .probe = { .url = "/readyz"; .interval = 5s; }
}

sub vcl_recv {
  if (req.restarts == 0) {
    unset req.http.X-Kvcast-Path;
    unset req.http.X-Kvcast-Full;
    unset req.http.X-Kvcast-Check;
    unset req.http.X-Kvcast-Method;
    unset req.http.Cookie;
    # One spelling only: what is encoded, doubled or has dots is not ours.
    if (req.url ~ "[%?#]|//|/\.") { return (synth(404)); }
    if (req.method != "GET" && req.method != "HEAD") { return (synth(405)); }
    if (req.url ~ "^/t/[A-Za-z0-9_-][A-Za-z0-9._-]*/.") {
      # Without a token in the path: open tenants, or a token in Authorization. Nothing is kept.
      set req.http.X-Kvcast-Path = req.url;
      return (pass);
    }
    if (req.url !~ "^/s/[A-Za-z0-9._-]+/t/[A-Za-z0-9_-][A-Za-z0-9._-]*/.") { return (synth(404)); }
    unset req.http.Authorization;
    set req.http.X-Kvcast-Full = req.url;
    set req.http.X-Kvcast-Path = regsub(req.url, "^/s/[^/]+", "");
    set req.http.X-Kvcast-Method = req.method;
    set req.http.X-Kvcast-Check = "asking";
    set req.url = regsub(req.url, "^(/s/[^/]+/t/[^/]+/).*$", "\1");
    return (pass);
  }
  # The token was good.
  set req.method = req.http.X-Kvcast-Method;
  set req.url = req.http.X-Kvcast-Path;
  return (hash);
}

sub vcl_hash {
  hash_data(req.url);
  return (lookup);
}

sub vcl_backend_fetch {
  if (bereq.http.X-Kvcast-Full && !bereq.http.X-Kvcast-Check) {
    set bereq.url = bereq.http.X-Kvcast-Full;
  }
  if (bereq.http.X-Kvcast-Check) { unset bereq.http.Range; }
  unset bereq.http.X-Kvcast-Full;
  unset bereq.http.X-Kvcast-Path;
  unset bereq.http.X-Kvcast-Check;
  unset bereq.http.X-Kvcast-Method;
}

sub vcl_backend_response {
  # Private means: not for caches that check no tokens. This one does.
  if (beresp.status == 200 && bereq.url ~ "/t/[^/]+/o/") {
    set beresp.ttl = 1h;
    set beresp.grace = 10m;
  } elsif (beresp.status == 200 && bereq.url ~ "/t/[^/]+/(m|k)/") {
    set beresp.ttl = 5s;
    set beresp.grace = 60s;
  } else {
    set beresp.uncacheable = true;
    return (deliver);
  }
  return (deliver);
}

sub vcl_deliver {
  if (req.http.X-Kvcast-Check) {
    unset req.http.X-Kvcast-Check;
    if (resp.status == 204) { return (restart); }
  } elsif (obj.hits > 0) {
    set resp.http.Cache-Status = "varnish; hit";
  } else {
    set resp.http.Cache-Status = "varnish; fwd=miss";
  }
  unset resp.http.X-Varnish;
  unset resp.http.Via;
}
