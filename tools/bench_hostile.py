#!/usr/bin/env python3
"""kvcast-origin under clients that mean it no good. One run:

  idle       so many connections that only wait, and the memory they take (bar: 10,000 in under 100 MB)
  malformed  p99 of 4 KiB requests of 64 clients alone, and beside 100,000 malformed requests (bar: under 2x)
  slow       the same beside slowhttptest's slow headers, bodies and reads, 500 connections each (bar: under 2x)

The clients wait 10 to 30 ms between their requests (without, --saturate, whatever else runs on their cores shows, whoever
is attacked), and attackers run at idle priority, as if they were elsewhere: slowhttptest spins on 0.8 of a core.
`most_connections` shows that its connections come nonetheless. What it costs the machine it costs whoever is attacked, so
`p99_ms_control` is of the same clients while it attacks another server: `ratio_to_control` is the attacked server's own share.

    tools/bench_hostile.py build/release/origin/kvcast-origin [--only idle|malformed|slow] [--json]

Needs wrk; `slow` also slowhttptest (Debian: wrk, slowhttptest), else it says so and is left out.
"""
import argparse
import json
import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench_origin import KIB, load, start_nginx, start_ours, store_object

LETTERS = b"GET / HTTP/1.1\r\n\r\nHost: :;%\0\xff\x80{}PUT Content-Length: Range: bytes=Transfer-Encoding: chunked"
THINK = "function delay() return math.random(10, 30) end"
SLOW_MODES = {"headers": ["-H"], "bodies": ["-B"], "reads": ["-X", "-w", "10", "-y", "20", "-z", "32", "-n", "5"]}


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def bench_idle(process, port, count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < count + 100:
        return {"case": "idle", "skipped": f"this process may open {hard} files only"}
    before, connections = resident_bytes(process.pid), []
    for _ in range(count):
        connections.append(socket.create_connection(("127.0.0.1", port), 10))
    for connection in connections:  # each has asked once, as a player has
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    answered = sum(connection.recv(4096).startswith(b"HTTP/1.1 200") for connection in connections)
    after = resident_bytes(process.pid)
    for connection in connections:
        connection.close()
    return {"case": "idle", "connections": count, "answered": answered, "bytes_before": before, "bytes": after,
            "bytes_per_connection": (after - before) / count}


def send_malformed(port, count, over, sent):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread
    dice = random.Random(7)
    while sent[0] < count and not over.is_set():
        text = bytearray(b"GET /x HTTP/1.1\r\nHost: h\r\n" if dice.random() < 0.5 else b"")
        for _ in range(dice.randrange(1, 60)):
            at = dice.randrange(len(text) + 1)
            text[at:at] = LETTERS[dice.randrange(len(LETTERS)):][:dice.randrange(1, 8)]
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(bytes(text) + b"\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
        except OSError:
            pass
        sent[0] += 1


class ConnectionsWatch:
    """How many connections the attacked server had at most."""

    def __init__(self, port):
        self.address, self.most, self.over = ("127.0.0.1", port), 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.5):
            try:
                with socket.create_connection(self.address, 5) as connection:
                    connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            except OSError:
                continue
            found = re.search(r"^kvcast_connections (\d+)", text, re.M)
            self.most = max(self.most, int(found[1]) if found else 0)

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.most


def p99(process, port, target, options):
    return load(process, port, target, 64, options.seconds, options.script, False)["p99_ms"]


def beside(process, port, target, options, start, is_over, stop):
    """p99 alone; then with `start()` going on, until it is over; medians."""
    alone = statistics.median(p99(process, port, target, options) for _ in range(options.repeats))
    start()
    measured = []
    while not measured or not is_over():
        measured.append(p99(process, port, target, options))
    stop()
    return {"p99_ms": alone, "p99_ms_beside": statistics.median(measured), "runs": len(measured),
            "ratio": statistics.median(measured) / max(alone, 1e-9)}


def bench_malformed(process, port, target, options):
    over, sent, threads = threading.Event(), [0], []

    def start():
        threads.append(threading.Thread(target=send_malformed, args=(port, options.malformed, over, sent), daemon=True))
        threads[0].start()

    def stop():
        over.set()
        threads[0].join()
    row = beside(process, port, target, options, start, lambda: sent[0] >= options.malformed, stop)
    return {"case": "malformed", **row, "requests": sent[0]}


def bench_slow(process, port, attacked, target, options):
    if not shutil.which("slowhttptest"):
        return [{"case": "slow", "skipped": "slowhttptest is not installed"}]
    rows = []
    for mode, flags in SLOW_MODES.items():
        measured = {}
        for role, at in (("control", attacked), ("attacked", port)):
            measured[role] = bench_slow_mode(flags, process, port, at, target, options)
        row, control = measured["attacked"], measured["control"]["p99_ms_beside"]
        rows.append({"case": f"slow {mode}", **row, "p99_ms_control": control, "ratio_to_control": row["p99_ms_beside"] / control})
    return rows


def bench_slow_mode(flags, process, port, attacked, target, options):
    running = []

    def start():
        running.append(subprocess.Popen(["chrt", "--idle", "0", "slowhttptest", *flags, "-c", "500", "-r", "200", "-i", "1", "-l", "15", "-u",
                                         f"http://127.0.0.1:{attacked}{target}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        running.append(ConnectionsWatch(attacked))
        time.sleep(3)

    def stop():
        running[0].wait()
    row = beside(process, port, target, options, start, lambda: running[0].poll() is not None, stop)
    return {**row, "most_connections": running[1].stop()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="the kvcast-origin program")
    parser.add_argument("--only", choices=("idle", "malformed", "slow"))
    parser.add_argument("--idle", type=int, default=10_000, help="connections")
    parser.add_argument("--malformed", type=int, default=100_000, help="requests")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--saturate", action="store_true", help="clients that ask without a pause")
    parser.add_argument("--nginx", action="store_true", help="nginx instead of the origin, for `slow` and `malformed`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench_hostile: wrk is not installed (Debian: wrk)")
    folder = Path(tempfile.mkdtemp(prefix="kvcast-hostile-"))
    folder.chmod(0o755)
    processes, rows = [], []

    def start_one(name):
        own = folder / name
        own.mkdir()
        own.chmod(0o755)
        started = (start_nginx(own, folder / "root", False) if options.nginx and not processes else
                   start_ours(options.origin, own, folder / "root", False, "--max-connections", "20000", "--header-timeout-ms", "5000"))
        processes.append(started[0])
        return started
    try:
        options.script = None if options.saturate else folder / "think.lua"
        (folder / "think.lua").write_text(THINK)
        target = store_object(folder / "root", os.urandom(4 * KIB))
        process, port = start_one("one")
        attacked = start_one("other")[1]
        if options.only in (None, "idle") and not options.nginx:
            rows.append(bench_idle(process, port, options.idle))
        if options.only in (None, "malformed"):
            rows.append(bench_malformed(process, port, target, options))
        if options.only in (None, "slow"):
            rows += bench_slow(process, port, attacked, target, options)
        for row in rows:
            if not options.json:
                print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()))
        if options.json:
            print(json.dumps({"rows": rows}))
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
