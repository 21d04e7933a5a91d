#!/usr/bin/env python3
"""The longest stored prefix of 1,000 blocks (16,000 tokens), asked of kvcast-origin in one question: milliseconds of a
request on a kept connection, by how much is stored (bar: under 5 ms). A static store takes a series of GETs; the same
connection's time for as many as a bisection needs stands beside.

    tools/bench_lookup.py build/release/origin/kvcast-origin [--blocks 1000] [--repeats 200] [--json]
"""
import argparse
import http.client
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_origin import start_ours


def publish(root, hashes):
    """Entries of all blocks, as packing writes them."""
    folder = root / "t/public/k/model"
    folder.mkdir(parents=True)
    for block, one in enumerate(hashes):
        entry = {"kvcast": 1, "presentation": "book", "tokens": 16 * (block + 1), "chunk": block // 8}
        (folder / one.hex()).write_text(json.dumps(entry, separators=(",", ":")) + "\n")
    (root / "t/public/m").mkdir()
    (root / "t/public/m/book.json").write_text("{}")


def timed(connection, method, target, body=None):
    begin = time.perf_counter()
    connection.request(method, target, body=body)
    response = connection.getresponse()
    text = response.read()
    return (time.perf_counter() - begin) * 1e3, response.status, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="the kvcast-origin program")
    parser.add_argument("--blocks", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kvcast-lookup-"))
    folder.chmod(0o755)
    process, rows = None, []
    try:
        hashes = [os.urandom(32) for _ in range(options.blocks)]
        unknown = [os.urandom(32) for _ in range(options.blocks)]
        publish(folder / "root", hashes)
        process, port = start_ours(options.origin, folder, folder / "root", False)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for stored in sorted({0, 1, options.blocks // 2, options.blocks - 1, options.blocks}):
            body = b"".join(hashes[:stored] + unknown[stored:])
            times = []
            for _ in range(options.repeats):
                ms, status, text = timed(connection, "POST", "/t/public/k/model:longest", body)
                if status != 200 or json.loads(text)["tokens"] != 16 * stored:
                    sys.exit(f"bench_lookup: {status} {text!r} where {stored} blocks are stored")
                times.append(ms)
            gets = math.ceil(math.log2(options.blocks)) + 1
            series = [sum(timed(connection, "GET", f"/t/public/k/model/{hashes[i].hex()}")[0] for i in range(gets))
                      for _ in range(options.repeats // 4)]
            rows.append({"blocks": options.blocks, "stored": stored, "median_ms": statistics.median(times),
                         "p99_ms": sorted(times)[int(0.99 * len(times))], f"{gets}_gets_ms": statistics.median(series)})
            if not options.json:
                print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in rows[-1].items()))
        if options.json:
            print(json.dumps({"rows": rows}))
    finally:
        if process:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
