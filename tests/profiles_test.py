#!/usr/bin/env python3
"""The pocket model's profiles as shipped, used by the real programs: calibrated profiles need fewer bytes than one measured
on the first chunk, and keep the cache and the model's predictions within each level's bound.

    tests/profiles_test.py KVCAST      where KVCAST is the executable
"""
import os
import shutil
import sys
import tempfile
import unittest

import end_to_end_test as programs
from end_to_end_test import KvcastServer, run, run_json
from kv_files_test import read_cache, relative_error

TOKENS = 128
# Relative squared error and KL of each level: some 1.5 and 3 times what these tokens give.
BOUNDS = {
    "pocket-head": {"error": (0.21, 0.095, 0.032, 0.0071), "kl": (4e-3, 1.4e-3, 3e-4, 5e-5)},
    "pocket-all": {"error": (0.09, 0.035, 0.0125, 0.0034), "kl": (2.3e-3, 6e-4, 1.5e-4, 3e-5)},
}


class Profiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="kvcast-profiles-")
        os.environ["XDG_CACHE_HOME"] = os.path.join(cls.work, "cache")
        cls.kv = os.path.join(cls.work, "kv.safetensors")
        text = os.path.join(programs.ROOT, "tests/data/story.txt")
        run("prefill", "--model", programs.MODEL, "--text", text, "--limit-tokens", str(TOKENS), "--out", cls.kv)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def pack(self, name, *options):
        store = os.path.join(self.work, name)
        packed = run_json("pack", self.kv, "--out", store, *options)
        return store, packed

    def within_bounds(self, name):
        profile = os.path.join(programs.ROOT, f"tests/data/profiles/{name}.kvo")
        store, packed = self.pack(name, "--profile", profile)
        run("verify", store)
        original, errors, kls = read_cache(self.kv)[1], [], []
        server = KvcastServer(store)
        try:
            url = f"{server.url}/{os.path.relpath(packed['manifest'], store)}"
            out = os.path.join(self.work, "out.safetensors")
            for level in range(4):
                played = run_json("play", url, "--ttft-slo-ms", programs.LAVISH_MS, "--controller", f"fixed:{level}", "--out", out,
                                  "--engine", programs.MODEL, "--suffix", programs.SUFFIX, "--reference", self.kv, "--continue", "16")
                errors.append(relative_error(original, read_cache(out)[1]))
                kls.append(played["mean_kl"])
        finally:
            server.stop()
        for level in range(4):
            self.assertLess(errors[level], BOUNDS[name]["error"][level])
            self.assertLess(kls[level], BOUNDS[name]["kl"][level])
        self.assertEqual(errors, sorted(errors, reverse=True))
        return packed["bytes_by_level"]

    def test_calibrated_profiles_keep_levels_and_need_fewer_bytes(self):
        first_chunk = self.pack("first-chunk")[1]["bytes_by_level"]
        head = self.within_bounds("pocket-head")
        best = self.within_bounds("pocket-all")
        for level in range(4):
            self.assertLess(best[level], head[level])
            self.assertLess(head[level], first_chunk[level])


if __name__ == "__main__":
    programs.KVCAST = sys.argv.pop(1)
    unittest.main(verbosity=2)
