#!/usr/bin/env python3
"""kvcast-origin beside nginx, one worker each (--all-cores: one per core), access logs and limits on in both: requests/s,
bytes/s, p99, and the server's CPU time per request. Runs alternate (A B A B), figures are medians, ratios are ours over
nginx's (above 1 is better, for p99 and CPU too). wrk has cores of its own only where there are more than the servers
use; where it is what limits the rate, CPU says more. Needs wrk and nginx (Debian: wrk, nginx-light). Under a minute.

With --slow N, instead: p99 of 4 KiB requests with and without N clients beside them that dribble headers or never
read what they asked for.

    tools/bench_origin.py build/release/origin/kvcast-origin [--tls] [--all-cores] [--slow N] [--repeats 3] [--json]
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20
RANGES = """
local random = math.random
request = function()
  local first = random(0, %d)
  return wrk.format("GET", nil, {["Range"] = "bytes=" .. first .. "-" .. (first + %d - 1)})
end
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"bench_origin: nothing listens on port {port}")


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-days", "30", "-keyout", folder / "key.pem", "-out",
                    folder / "certificate.pem"], check=True, capture_output=True)


def start_nginx(folder, root, tls, workers=1):
    port = free_port()
    own = folder / "nginx"
    own.mkdir()
    secure = (f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; "
              "ssl_protocols TLSv1.3; ssl_session_cache shared:s:1m;") if tls else ""
    temp = "".join(f"{kind}_temp_path {own}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (own / "nginx.conf").write_text(f"""
daemon off; master_process {"on" if workers > 1 else "off"}; worker_processes {workers}; {"user root;" if os.geteuid() == 0 else ""} pid {own}/pid; error_log {own}/error;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  {temp}
  log_format json escape=json '{{"time":"$time_iso8601","peer":"$remote_addr:$remote_port","method":"$request_method",'
    '"path":"$uri","status":$status,"bytes":$body_bytes_sent,"duration":$request_time,"range":"$http_range"}}';
  access_log {own}/access json buffer=256k flush=200ms;
  limit_conn_zone $binary_remote_addr zone=peers:1m;
  limit_req_zone $binary_remote_addr zone=rate:1m rate=1000000r/s;
  sendfile on; tcp_nopush on; sendfile_max_chunk 1m;
  open_file_cache max=4096 inactive=60s; open_file_cache_valid 1s;
  keepalive_requests 1000000000; default_type application/octet-stream;
  add_header Cache-Control "public, max-age=31536000, immutable";
  server {{
    listen 127.0.0.1:{port} {"ssl" if tls else ""} {"reuseport" if workers > 1 else ""}; {secure}
    root {root};
    limit_conn peers 8192; limit_req zone=rate burst=100000 nodelay;
  }}
}}
""")
    process = subprocess.Popen(["nginx", "-c", own / "nginx.conf", "-e", own / "error"])
    wait_for(port)
    return process, port


def start_ours(program, folder, root, tls, *more, workers=1):
    port = free_port()
    secure = ["--tls-certificate", folder / "certificate.pem", "--tls-key", folder / "key.pem"] if tls else []
    process = subprocess.Popen(
        [program, root, "--listen", f"127.0.0.1:{port}", "--threads", str(workers), "--access-log", folder / "access.jsonl",
         "--max-requests", "1000000000", *secure, *more], stderr=subprocess.DEVNULL)
    wait_for(port)
    return process, port


def cpu_seconds(pid):
    """Of all threads and children, to the nanosecond; /proc/PID/stat counts in ticks of 10 ms."""
    own = sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(child) for child in children)


def store_object(root, content):
    digest = hashlib.sha256(content).hexdigest()
    target = f"/t/public/o/{digest[:2]}/{digest}.kvo"
    path = root / target[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return target


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def load(process, port, target, connections, seconds, script, tls, threads=1):
    before = cpu_seconds(process.pid)
    done = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency", *(["-s", script] if script else []),
         f"{'https' if tls else 'http'}://127.0.0.1:{port}{target}"], capture_output=True, text=True, check=True)
    cpu = cpu_seconds(process.pid) - before
    requests, took = re.search(r"(\d+) requests in ([\d.]+\w+)", done.stdout).groups()
    took = float(re.match(r"[\d.]+", took)[0]) * UNITS[re.search(r"[a-z]+$", took)[0]]
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        print(done.stdout, file=sys.stderr)
    if int(requests) == 0:
        sys.exit(f"bench_origin: no request of {target} ended within {seconds} s: give more --seconds")
    p99, unit = re.search(r"99%\s+([\d.]+)(\w+)", done.stdout).groups()
    return {"requests_per_s": int(requests) / took, "p99_ms": float(p99) * UNITS[unit] * 1e3,
            "cpu_us_per_request": cpu * 1e6 / int(requests)}


class SlowClients:
    """Half of them send a header byte by byte, half ask for much and read nothing; who is ended comes back."""

    def __init__(self, port, target, count):
        self.address, self.target, self.sockets = ("127.0.0.1", port), target, [None] * count
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self, reader):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self.address)
        connection.setblocking(False)
        head = f"GET {self.target} HTTP/1.1\r\nHost: h\r\n"
        connection.send((head + "\r\n" if reader else head + "X: ").encode())
        return connection

    def run(self):
        while self.running:
            for i, connection in enumerate(self.sockets):
                reader = i % 2 == 0
                try:
                    if connection is None:
                        self.sockets[i] = self.begin(reader)
                    elif not reader:
                        connection.send(b"x")
                except OSError:
                    self.sockets[i] = None
            time.sleep(0.5)

    def stop(self):
        self.running = False
        self.thread.join()
        for connection in self.sockets:
            if connection is not None:
                connection.close()


def bench_slow(servers, targets, options):
    rows = []
    for server, (process, port) in servers.items():
        alone, beside = [], []
        for _ in range(options.repeats):
            alone.append(load(process, port, targets["4KiB"], 64, options.seconds, None, options.tls)["p99_ms"])
            slow = SlowClients(port, targets["8MiB"], options.slow)
            time.sleep(2)  # until their sockets are full
            beside.append(load(process, port, targets["4KiB"], 64, options.seconds, None, options.tls)["p99_ms"])
            slow.stop()
        row = {"load": "slow", "server": server, "slow_clients": options.slow, "p99_ms": statistics.median(alone),
               "p99_ms_beside_slow": statistics.median(beside)}
        rows.append(row)
        if not options.json:
            print(f"{server:>7}: p99 {row['p99_ms']:.2f} ms alone, {row['p99_ms_beside_slow']:.2f} ms beside "
                  f"{options.slow} slow clients: {row['p99_ms_beside_slow'] / row['p99_ms']:.2f}x", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="the kvcast-origin program")
    parser.add_argument("--tls", action="store_true", help="TLS 1.3 in both")
    parser.add_argument("--all-cores", action="store_true", help="a worker per core in both, and as many threads of wrk")
    parser.add_argument("--seconds", type=int, default=1, help="of each run, whole")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="4KiB, 1MiB, 8MiB or ranges")
    parser.add_argument("--slow", type=int, default=0, help="that many slow clients, instead")
    parser.add_argument("--through", action="store_true", help="hits of a read-through cache beside "
                        "directory serving instead of nginx; without TLS")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for program in ("wrk", "nginx"):
        if not shutil.which(program):
            sys.exit(f"bench_origin: {program} is not installed (Debian: wrk, nginx-light)")
    folder = Path(tempfile.mkdtemp(prefix="kvcast-bench-"))
    root = folder / "root"
    root.mkdir()
    for path in (folder, root):
        path.chmod(0o755)
    servers, rows = {}, []
    workers = os.cpu_count() if options.all_cores else 1
    try:
        targets = {name: store_object(root, os.urandom(size))
                   for name, size in (("4KiB", 4 * KIB), ("1MiB", MIB), ("8MiB", 8 * MIB), ("ranges", 64 * MIB))}
        (folder / "ranges.lua").write_text(RANGES % (63 * MIB, MIB))
        if options.tls:
            make_certificate(folder)
        if options.through:
            servers = {"directory": start_ours(options.origin, folder, root, False, workers=workers)}
            behind = f"http://127.0.0.1:{servers['directory'][1]}"
            servers["kvcast"] = start_ours(options.origin, folder, behind, False, "--cache", folder / "cache", workers=workers)
            for target in targets.values():
                urllib.request.urlopen(f"http://127.0.0.1:{servers['kvcast'][1]}{target}").read()
        else:
            servers = {"nginx": start_nginx(folder, root, options.tls, workers),
                       "kvcast": start_ours(options.origin, folder, root, options.tls, workers=workers)}
        peer = next(iter(servers))
        if options.slow:
            rows = bench_slow(servers, targets, options)
        for name, connections, size, script in () if options.slow else (
                ("4KiB", 64, 4 * KIB, None), ("1MiB", 16, MIB, None), ("8MiB", 8, 8 * MIB, None),
                ("ranges", 16, MIB, folder / "ranges.lua")):
            if options.only not in (None, name):
                continue
            runs = {server: [] for server in servers}
            for _ in range(options.repeats):
                for server, (process, port) in servers.items():
                    runs[server].append(load(process, port, targets[name], connections, options.seconds, script, options.tls,
                                             threads=workers))
            row = {"load": name, "workers": workers, "tls": options.tls, "connections": connections, "bytes": size}
            for server, measured in runs.items():
                row[server] = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
                row[server]["bytes_per_s"] = row[server]["requests_per_s"] * size
            ours, theirs = row["kvcast"], row[peer]
            row["ratio"] = {"rate": ours["requests_per_s"] / theirs["requests_per_s"],
                            "p99": theirs["p99_ms"] / max(ours["p99_ms"], 1e-9),
                            "cpu": theirs["cpu_us_per_request"] / max(ours["cpu_us_per_request"], 1e-9)}
            rows.append(row)
            if not options.json:
                for server in servers:
                    print(f"{name:>7} {server:>7}: {row[server]['requests_per_s']:10.0f} requests/s "
                          f"{row[server]['bytes_per_s'] / 1e6:8.0f} MB/s  p99 {row[server]['p99_ms']:7.2f} ms  "
                          f"{row[server]['cpu_us_per_request']:8.1f} us of CPU")
                print(f"{'':>7}   ratio: rate {row['ratio']['rate']:.2f}x  p99 {row['ratio']['p99']:.2f}x  "
                      f"CPU {row['ratio']['cpu']:.2f}x", flush=True)
        if options.json:
            print(json.dumps({"rows": rows}))
    finally:
        for process, _ in servers.values():
            process.send_signal(signal.SIGTERM if workers > 1 else signal.SIGKILL)  # a master ends its workers
            process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
