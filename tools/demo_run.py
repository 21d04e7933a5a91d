#!/usr/bin/env python3
"""Runs the demo's processes: kvcast prefill, pack, serve, play. Everything shown comes from their --json output.

Rate and SLO follow from this machine: text-only TTFT is measured first; the link is then paced so that fetching the raw
cache takes RAW_OVER_TEXT times as long, and the SLO is 0.6 x the faster of the two.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys

RAW_OVER_TEXT = 4.0
SLO_SHARE = 0.6
COLLAPSE_AT = 0.35      # of the SLO: when the link collapses ...
COLLAPSE_TO = 0.05      # ... to this share of its rate
RECOVER_AT = 3.0        # SLOs after the start, when it comes back: too late for this play
FIXED_LEVEL = 2
LAVISH_SLO_MS = 600_000


class Server:
    """`kvcast serve` on a free port; its pacing clock starts with the first request."""

    def __init__(self, kvcast, root, pace=None):
        command = [kvcast, "serve", root, "--listen", "127.0.0.1:0", "--json", "--no-access-log"]
        self.process = subprocess.Popen(command + (["--pace", pace] if pace else []), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"demo: {' '.join(command)} did not start")
        self.url = f"http://127.0.0.1:{json.loads(line)['port']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def run_json(command, may_miss=False):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in ((0, 1) if may_miss else (0,)):
        sys.exit(f"demo: {' '.join(command)}\n{done.stderr}exit code {done.returncode}")
    return json.loads(done.stdout)


class Demo:
    def __init__(self, args):
        self.kvcast, self.out = args.kvcast, args.out
        self.model = "tests/data/pocket-lm"
        self.context, self.suffix = "tests/data/story.txt", "tests/data/story_suffix.txt"
        self.raw = os.path.join(self.out, "store", "kv.safetensors")
        self.store = os.path.join(self.out, "store")
        self.profile = ["--profile", args.profile] if args.profile else []

    def prepare(self):
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.store)
        self.prefill = run_json([self.kvcast, "prefill", "--model", self.model, "--text", self.context, "--out", self.raw, "--json"])
        self.pack = run_json([self.kvcast, "pack", self.raw, "--out", self.store, "--chunk-tokens", "128", "--exact", *self.profile,
                              "--json"])
        self.manifest = os.path.relpath(self.pack["manifest"], self.store)
        text_runs = [self.play("text", None, LAVISH_SLO_MS) for _ in range(3)]
        self.text_ms = statistics.median(run["ttft_ms"] for run in text_runs)
        self.suffix_ms = statistics.median(run["suffix_prefill_ms"] for run in text_runs)
        self.rate_bytes_per_s = self.pack["raw_bytes"] / (RAW_OVER_TEXT * self.text_ms / 1000)
        self.slo_ms = SLO_SHARE * min(RAW_OVER_TEXT, 1.0) * self.text_ms

    def trace(self, name):
        mbit = self.rate_bytes_per_s * 8 / 1e6
        path = os.path.join(self.out, f"{name}.trace")
        with open(path, "w") as f:
            f.write("# seconds Mbit/s\n0 %.6f\n" % mbit)
            if name == "collapse":
                f.write("%.6f %.6f\n" % (COLLAPSE_AT * self.slo_ms / 1000, COLLAPSE_TO * mbit))
                f.write("%.6f %.6f\n" % (RECOVER_AT * self.slo_ms / 1000, mbit))
        return path

    def play(self, controller, pace, slo_ms, report=None, compare=False):
        with Server(self.kvcast, self.store, pace) as server:
            path = "kv.safetensors" if controller == "raw" else self.manifest
            command = [self.kvcast, "play", f"{server.url}/{path}", "--ttft-slo-ms", f"{slo_ms:.1f}", "--engine", self.model,
                       "--suffix", self.suffix, "--controller", controller, "--json"]
            if report:
                command += ["--report", report]
            if compare:
                command += ["--reference", self.raw, "--continue", "64"]
            return run_json(command, may_miss=True)

    def ways(self, trace_name):
        pace = self.trace(trace_name)
        rows = []
        for label, controller in (("raw KV fetch", "raw"), ("text only", "text"), (f"fixed level {FIXED_LEVEL}", f"fixed:{FIXED_LEVEL}"), ("adaptive", "layered")):
            report = os.path.join(self.out, f"{trace_name}-{controller.replace(':', '-')}")
            rows.append({"way": label, **self.play(controller, pace, self.slo_ms, report, compare=True)})
        return rows

    def optimum_ms(self, trace_name):
        """Least TTFT a planner who knows the trace could reach: text for the first k chunks, bases for the rest, fluid link."""
        chunks = self.chunks
        total = chunks[-1]["tokens"][1]
        best = float("inf")
        for k in range(len(chunks) + 1):
            tokens = chunks[k - 1]["tokens"][1] if k else 0
            x = tokens / total
            recompute_ms = self.text_ms * (self.linear_share * x + (1 - self.linear_share) * x * x)
            fetch_ms = self.transfer_ms(trace_name, self.bytes_from[k])
            best = min(best, max(recompute_ms, fetch_ms))
        return best + self.suffix_ms

    def transfer_ms(self, trace_name, size):
        if trace_name == "steady":
            return 1000 * size / self.rate_bytes_per_s
        fast_ms = COLLAPSE_AT * self.slo_ms
        before = self.rate_bytes_per_s * fast_ms / 1000     # what is fetched after that belongs to no plan that meets the SLO
        return 1000 * size / self.rate_bytes_per_s if size <= before else fast_ms + 1000 * (size - before) / (COLLAPSE_TO * self.rate_bytes_per_s)

    def load_sizes(self):
        with open(self.pack["manifest"]) as f:
            manifest = json.load(f)
        self.chunks = manifest["chunks"]
        base = [c["planes"][0]["bytes"] for c in self.chunks]
        overhead = manifest["profile"]["bytes"] + os.path.getsize(self.pack["manifest"])
        self.bytes_from = [sum(base[k:]) + overhead for k in range(len(base) + 1)]
        # By operation count: 12 M per token in matrix products with weights, 8,192 per token and position in attention.
        total = self.chunks[-1]["tokens"][1]
        self.linear_share = 12e6 / (12e6 + 8192 * total / 2)


def size(n):
    return f"{n / 1e6:.2f} MB"


def show_sizes(demo):
    pack, raw = demo.pack, demo.pack["raw_bytes"]
    print(f"\nContext: {demo.prefill['tokens']} tokens of {demo.context}, 8 layers, bf16 KV cache, chunks of 128 tokens")
    print(f"  raw {size(raw):>10}   prefilled in {demo.prefill['seconds']:.2f} s")
    for level, n in enumerate(pack["bytes_by_level"]):
        print(f"  level {level}    {size(n):>10}   {raw / n:5.1f}x smaller, {16 * n / raw:.2f} bits per element")
    print(f"  exact      {size(pack['exact_bytes']):>10}   {raw / pack['exact_bytes']:5.2f}x smaller, bit for bit")
    print(f"Link {demo.rate_bytes_per_s * 8 / 1e6:.1f} Mbit/s, SLO {demo.slo_ms:.0f} ms (text only takes {demo.text_ms:.0f} ms, the raw cache {RAW_OVER_TEXT * demo.text_ms:.0f} ms)")


def show_ways(title, rows):
    print(f"\n{title}")
    print(f"  {'way':<16}{'TTFT':>9}  {'SLO':<7}{'fetched':>10}{'recomputed':>12}{'quality':>9}{'mean KL':>10}{'top-1':>8}")
    for row in rows:
        kl, top1 = row.get("mean_kl"), row.get("top1_agreement")
        print(f"  {row['way']:<16}{row['ttft_ms']:>6.0f} ms  {'met' if row['met'] else 'MISSED':<7}{size(row['bytes_fetched']):>10}"
              f"{row['recomputed_tokens']:>12}{row['quality']:>9.4f}" + (f"{kl:>10.5f}{100 * top1:>7.1f}%" if kl is not None else ""))


def show_chunks(row):
    marks = "".join("T" if c["source"] == "recompute" else str(c["level"]) for c in row["chunks"])
    print(f"  adaptive, chunk by chunk (T recomputed from text, else the level fetched): {marks}")


def show_text(row):
    print("  and the model goes on from the suffix:\n    ..." + " ".join(row["continuation"].split()))


def bench(demo, runs):
    """Repeats the adaptive play; a bench, not a test: it prints, and keeps no promise."""
    result = {}
    for name in ("steady", "collapse"):
        pace = demo.trace(name)
        plays = [demo.play("layered", pace, demo.slo_ms) for _ in range(runs)]
        ttft = sorted(p["ttft_ms"] for p in plays)
        met = sum(p["met"] for p in plays)
        spare = 1 - demo.optimum_ms(name) / demo.slo_ms
        print(f"{name}: SLO {demo.slo_ms:.0f} ms met in {met} of {runs} runs; TTFT median {statistics.median(ttft):.0f} ms, max {ttft[-1]:.0f} ms; "
              f"the optimum had {100 * spare:.0f}% to spare")
        result[name] = {"slo_ms": demo.slo_ms, "runs": runs, "met": met, "ttft_ms": ttft, "optimum_spare": spare}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvcast", required=True, help="the kvcast executable")
    parser.add_argument("--out", default="build/demo", help="folder for the store, reports and report.json (emptied first)")
    parser.add_argument("--profile", help="calibrated profile, e.g. tests/data/profiles/pocket-head.kvo (default: measured on the "
                                          "first chunk); every play fetches it")
    parser.add_argument("--runs", type=int, default=0, help="instead of the demo: repeat the adaptive play N times on each link")
    args = parser.parse_args()

    demo = Demo(args)
    demo.prepare()
    demo.load_sizes()
    show_sizes(demo)
    if args.runs:
        report = {"bench": bench(demo, args.runs)}
    else:
        steady, collapse = demo.ways("steady"), demo.ways("collapse")
        show_ways("Steady link", steady)
        show_chunks(steady[-1])
        show_ways(f"The link collapses to {100 * COLLAPSE_TO:.0f}% after {COLLAPSE_AT * demo.slo_ms:.0f} ms", collapse)
        show_chunks(collapse[-1])
        show_text(collapse[-1])
        report = {"prefill": demo.prefill, "pack": demo.pack, "rate_bytes_per_s": demo.rate_bytes_per_s, "slo_ms": demo.slo_ms,
                  "text_only_ms": demo.text_ms, "steady": steady, "collapse": collapse}
    path = os.path.join(demo.out, "report.json")
    with open(path, "w") as f:
        json.dump(report, f, indent=1)
    print(f"\nNumbers: {path}; every decision: {demo.out}/*/events.jsonl")


if __name__ == "__main__":
    main()
