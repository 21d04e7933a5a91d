#!/usr/bin/env python3
"""The main job with the real programs: prefill, pack, verify, serve (kvcast and nginx), play, decode, continue.

    tests/end_to_end_test.py KVCAST      where KVCAST is the executable
"""
import glob
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODEL = os.path.join(ROOT, "tests/data/pocket-lm")
SUFFIX = os.path.join(ROOT, "tests/data/story_suffix.txt")
LAVISH_MS = "120000"    # a deadline that no machine misses: timing decides no test
KVCAST = None


def run(*arguments, expect=0):
    done = subprocess.run([KVCAST, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240)
    if done.returncode != expect:
        raise AssertionError(f"kvcast {' '.join(arguments)}: exit {done.returncode}, not {expect}\n{done.stderr}")
    return done


def run_json(*arguments, expect=0):
    return json.loads(run(*arguments, "--json", expect=expect).stdout)


class KvcastServer:
    def __init__(self, root, *options):
        self.process = subprocess.Popen([KVCAST, "serve", root, "--listen", "127.0.0.1:0", "--json", "--no-access-log", *options],
                                        stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{json.loads(self.process.stdout.readline())['port']}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code


class NginxServer:
    """Plain nginx over the same folder, with its stock static file serving."""

    def __init__(self, root, folder):
        port = free_port()
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w") as f:
            f.write(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }} }}
""")
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", config, *user], stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        wait_for(self.url)

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        return self.process.wait(timeout=30)


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(url):
    for _ in range(1200):
        try:
            urllib.request.urlopen(url + "/kv.safetensors", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="kvcast-e2e-")
        os.environ["XDG_CACHE_HOME"] = os.path.join(cls.work, "cache")     # what plays remember of links
        cls.store = os.path.join(cls.work, "store")
        os.mkdir(cls.store)
        cls.kv = os.path.join(cls.store, "kv.safetensors")
        cls.prefill = run_json("prefill", "--model", MODEL, "--text", os.path.join(ROOT, "tests/data/story.txt"),
                               "--limit-tokens", "700", "--out", cls.kv)
        cls.pack = run_json("pack", cls.kv, "--out", cls.store, "--chunk-tokens", "128", "--exact")
        cls.path = os.path.relpath(cls.pack["manifest"], cls.store)
        cls.server = KvcastServer(cls.store)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.work)

    def play(self, *options, url=None, expect=0):
        return run_json("play", url or f"{self.server.url}/{self.path}", "--ttft-slo-ms", LAVISH_MS, "--engine", MODEL,
                        "--suffix", SUFFIX, "--reference", self.kv, "--continue", "16", *options, expect=expect)

    def test_every_level_is_closer_to_the_uncompressed_cache(self):
        kl = [self.play("--controller", f"fixed:{level}")["mean_kl"] for level in range(4)]
        self.assertEqual(kl, sorted(kl, reverse=True))
        self.assertLess(kl[0], 0.2)
        self.assertLess(kl[3], 0.001)

    def test_exact_is_bit_identical(self):
        out = os.path.join(self.work, "exact.safetensors")
        report = self.play("--exact", "--controller", "fixed:0", "--out", out)
        self.assertEqual(report["mean_kl"], 0)
        self.assertEqual(tensor_bytes(self.kv), tensor_bytes(out))

    def test_a_device_holds_what_host_memory_does(self):
        host, device = (os.path.join(self.work, f"{name}.safetensors") for name in ("host", "device"))
        url = f"{self.server.url}/{self.path}"
        run("play", url, "--ttft-slo-ms", LAVISH_MS, "--controller", "fixed:3", "--out", host)
        for layout in ("paged", "packed"):
            report = run_json("play", url, "--ttft-slo-ms", LAVISH_MS, "--controller", "fixed:3", "--device", "emulated",
                              "--layout", layout, "--out", device)
            self.assertTrue(all(c["level"] == 3 for c in report["chunks"]))
            expected, got = tensor_bytes(host), tensor_bytes(device)
            self.assertEqual(expected.keys(), got.keys())
            for name, tensor in expected.items():
                pairs = zip(memoryview(tensor).cast("H"), memoryview(got[name]).cast("H"))
                for a, b in [(bf16(x), bf16(y)) for x, y in pairs if x != y]:
                    self.assertLessEqual(abs(a - b), abs(a) / 128 + 1e-4, name)    # a place, or what RoPE cancels
        kl = self.play("--controller", "fixed:3", "--device", "emulated")["mean_kl"]
        self.assertLess(kl, 0.001)
        run("play", url, "--ttft-slo-ms", "1", "--device", "99999", expect=3)    # no machine has so many
        run("play", url, "--ttft-slo-ms", "1", "--device", "emulated", "--layout", "diagonal", expect=2)

    def test_report_keeps_the_contract(self):
        report = self.play("--controller", "fixed:1")
        for key in ("ttft_slo_ms", "ttft_ms", "met", "bytes_fetched", "raw_bytes", "recomputed_tokens", "quality", "chunks", "mean_kl", "top1_agreement"):
            self.assertIn(key, report)
        self.assertEqual(report["chunks"][0]["tokens"], [0, 128])
        self.assertEqual(report["chunks"][-1]["tokens"][1], self.prefill["tokens"])
        self.assertTrue(all(c["source"] == "network" and c["level"] == 1 for c in report["chunks"]))
        self.assertLess(report["bytes_fetched"], report["raw_bytes"] / 4)

    def test_the_page_of_a_play_is_drawn_by_a_browser(self):
        folder = os.path.join(self.work, "report")
        self.play("--report", folder)
        self.look_at_page(folder)

    def test_a_recorded_play_is_simulated_and_its_page_is_drawn_by_a_browser(self):
        pace, recording, folder, svg = (os.path.join(self.work, name) for name in ("pace", "link.trace", "simulated", "sweep.svg"))
        with open(pace, "w") as f:
            f.write("0 8\n60 8\n")    # Mbit/s
        paced = KvcastServer(self.store, "--pace", pace)
        try:
            self.play("--record", recording, "--controller", "fixed:3", url=f"{paced.url}/{self.path}")
        finally:
            paced.stop()
        with open(recording) as f:
            steps = [line.split() for line in f if not line.startswith("#")]
        self.assertTrue(steps and all(float(rate) >= 0 for _, rate in steps))
        report = run_json("simulate", self.pack["manifest"], "--traces", recording, "--ttft-slo-ms", "500", "--controllers", "layered,fixed:0",
                          "--offsets", "2", "--report", folder, "--svg", svg)
        rows = {row["controller"]: row for row in report["rows"]}
        self.assertEqual(set(rows), {"layered", "fixed:0", "optimum"})
        self.assertTrue(all(row["runs"] == 2 and row["bytes"] > 0 for row in rows.values()))
        with open(svg) as f:
            self.assertIn(">SLO</text>", f.read())
        self.look_at_page(folder)

    def test_a_second_play_knows_how_fast_this_machine_is(self):
        cache, folder = os.path.join(self.work, "cache-of-two"), os.path.join(self.work, "second")
        os.environ["XDG_CACHE_HOME"], before = cache, os.environ["XDG_CACHE_HOME"]
        try:
            self.play("--controller", "fixed:3")
            self.play("--controller", "text")
            with open(os.path.join(cache, "kvcast/history.json")) as f:
                history = json.load(f)
            self.assertTrue(all(record["seconds_per_million"] > 0 for record in history["decodes"].values()))
            self.assertTrue(all(record["per_token_s"] > 0 for record in history["recomputes"].values()))
            self.assertEqual((len(history["decodes"]), len(history["recomputes"])), (1, 1))
            self.play("--report", folder)
            with open(os.path.join(folder, "events.jsonl")) as f:
                priors = [event["reason"] for event in map(json.loads, f) if event["what"] == "speed_prior"]
            self.assertEqual(len(priors), 2, priors)
            self.play("--report", folder, "--no-prior")
            with open(os.path.join(folder, "events.jsonl")) as f:
                self.assertNotIn("speed_prior", f.read())
            with open(os.path.join(cache, "kvcast/history.json"), "w") as f:
                f.write("{damaged")
            self.assertIn("replacing it", run("play", f"{self.server.url}/{self.path}", "--ttft-slo-ms", LAVISH_MS).stderr)
            with open(os.path.join(cache, "kvcast/history.json")) as f:
                self.assertEqual(json.load(f)["version"], 1)
        finally:
            os.environ["XDG_CACHE_HOME"] = before

    def look_at_page(self, folder):
        with open(os.path.join(folder, "perfetto.json")) as f:
            self.assertTrue(any(event["ph"] == "X" for event in json.load(f)["traceEvents"]))
        browser = shutil.which("chromium")
        if not browser:
            self.skipTest("no chromium")
        page = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.work}/chromium",
                               "--dump-dom", f"file://{folder}/report.html"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, timeout=120).stdout
        self.assertRegex(page, r'<body data-drawn="[1-9]')    # set by the page's last statement
        self.assertIn('aria-label="timeline of the play"', page)
        self.assertGreaterEqual(page.count('class="chunk'), 6)

    def test_text_only_recomputes_everything(self):
        report = self.play("--controller", "text")
        self.assertEqual(report["recomputed_tokens"], self.prefill["tokens"])
        self.assertEqual(report["mean_kl"], 0)

    def test_the_raw_cache_is_the_baseline(self):
        report = self.play(url=f"{self.server.url}/kv.safetensors")
        self.assertEqual(report["mean_kl"], 0)
        self.assertGreaterEqual(report["bytes_fetched"], self.prefill["raw_bytes"])

    def test_a_missed_slo_is_reported_and_exits_1(self):
        report = run_json("play", f"{self.server.url}/{self.path}", "--ttft-slo-ms", "0.001", "--patience-ms", "60000", "--engine", MODEL,
                          "--suffix", SUFFIX, expect=1)
        self.assertFalse(report["met"])
        self.assertEqual(report["chunks"][-1]["tokens"][1], self.prefill["tokens"])    # late, but whole

    def test_found_by_tokens(self):
        with open(self.pack["manifest"]) as f:
            tokens = json.load(f)["text"]["tokens"]
        file = os.path.join(self.work, "tokens.json")
        with open(file, "w") as f:
            json.dump(tokens[:400] + [7, 8, 9], f)     # leaves the stored context after 400 tokens
        folder = os.path.join(self.work, "found")
        report = run_json("play", "--store", self.server.url, "--tokens", file, "--ttft-slo-ms", LAVISH_MS, "--engine", MODEL,
                          "--controller", "fixed:3", "--report", folder)
        self.assertEqual([c["tokens"] for c in report["chunks"]], [[0, 128], [128, 256], [256, 384]])
        with open(os.path.join(folder, "events.jsonl")) as f:
            lookup = [event for event in map(json.loads, f) if event.get("what") == "lookup"]
        self.assertEqual(len(lookup), 1)
        self.assertRegex(lookup[0]["reason"], "^found .*, by (the store's lookup|GETs: they were faster than the store's lookup)$")

    def test_a_corrupt_object_is_not_used(self):
        store = os.path.join(self.work, "corrupt")
        shutil.copytree(self.store, store)
        with open(os.path.join(store, self.path)) as f:
            digest = json.load(f)["chunks"][2]["planes"][0]["digest"]
        victim = glob.glob(f"{store}/t/public/o/*/{digest}.kvo")[0]
        with open(victim, "r+b") as f:
            f.seek(-5, os.SEEK_END)
            byte = f.read(1)
            f.seek(-5, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))
        verified = run("verify", store, expect=1)
        self.assertIn(digest, verified.stdout + verified.stderr)
        server = KvcastServer(store)
        try:
            report = self.play("--controller", "layered", url=f"{server.url}/{self.path}")
            self.assertEqual(report["chunks"][2]["source"], "recompute")
            self.assertLess(report["mean_kl"], 0.2)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_plain_nginx_is_an_origin_too(self):
        if not (shutil.which("nginx") or os.path.exists("/usr/sbin/nginx")):
            self.skipTest("nginx is not installed")
        folder = os.path.join(self.work, "nginx")
        os.mkdir(folder)
        os.chmod(self.work, 0o755)
        server = NginxServer(self.store, folder)
        try:
            ours, theirs = self.play("--controller", "fixed:2"), self.play("--controller", "fixed:2", url=f"{server.url}/{self.path}")
            self.assertEqual(ours["mean_kl"], theirs["mean_kl"])
            self.assertEqual(ours["chunks"], theirs["chunks"])
        finally:
            server.stop()

    def test_packing_again_writes_nothing(self):
        again = run_json("pack", self.kv, "--out", self.store, "--chunk-tokens", "128", "--exact", "--threads", "1")
        self.assertEqual(again["objects_written"], 0)
        self.assertEqual(again["manifest"], self.pack["manifest"])

    def test_a_wrong_model_is_refused(self):
        other = os.path.join(self.work, "other-model")
        shutil.copytree(MODEL, other)
        with open(os.path.join(other, "model.safetensors"), "r+b") as f:
            f.seek(-2, os.SEEK_END)
            f.write(b"\0\0")
        done = run("play", f"{self.server.url}/{self.path}", "--ttft-slo-ms", LAVISH_MS, "--engine", other, expect=4)
        self.assertIn("weights", done.stderr)

    def test_exit_codes_name_the_cause(self):
        run("play", f"{self.server.url}/t/public/m/none.json", "--ttft-slo-ms", LAVISH_MS, expect=3)
        run("play", expect=2)
        run("inspect", os.path.join(self.work, "nothing-here"), expect=3)
        run("verify", self.store)


def bf16(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def tensor_bytes(path):
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(length))
        data = f.read()
    return {name: data[slice(*tensor["data_offsets"])] for name, tensor in header.items() if name != "__metadata__"}


if __name__ == "__main__":
    KVCAST = sys.argv.pop(1)
    unittest.main(verbosity=2)
