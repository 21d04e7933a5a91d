#!/usr/bin/env python3
"""Damage, through the real programs: a byte of a stored file is changed, or its end cut off, then the context is played
and the store verified. 60 rounds; 10,000 with KVCAST_FULL=1.

    tests/damage/played_damage_test.py KVCAST

A play ends with an error, or with tensors that the undamaged store gives at the levels it reports. `kvcast verify` finds
the damage, in one line that names the file, or the damage is in blanks of JSON.
And the golden bad files, by `kvcast verify`: one line each.
"""
import glob
import json
import os
import random
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../faults"))
from programs import FULL, Programs, Server, read_tensors, tree, write_kv_file  # noqa: E402

ROUNDS = 10_000 if FULL else 60
LEVELS = 4


class PlayedDamage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="kvcast-damage-")
        cls.programs = Programs(sys.argv[1], "", cls.work)
        kv = os.path.join(cls.work, "kv.safetensors")
        write_kv_file(kv, tokens=200, layers=3, heads=2, dim=32)
        cls.store, cls.out = os.path.join(cls.work, "store"), os.path.join(cls.work, "out.safetensors")
        cls.programs.run("pack", kv, "--out", cls.store, "--chunk-tokens", "64", "--exact", expect=0)
        cls.good = tree(cls.store)
        cls.manifest = next(path for path in cls.good if "/m/" in path)
        cls.server = Server(cls.programs, cls.store)
        cls.by_level = []
        for level in range(LEVELS):
            assert cls.play(f"fixed:{level}").returncode == 0
            cls.by_level.append(read_tensors(cls.out))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.work)

    @classmethod
    def play(cls, controller):
        if os.path.exists(cls.out):
            os.unlink(cls.out)
        return cls.programs.run("play", f"{cls.server.url}/{cls.manifest}", "--ttft-slo-ms", "60000", "--controller", controller, "--no-prior",
                                "--out", cls.out, "--json")

    def test_a_play_of_a_damaged_store(self):
        dice, ended = random.Random(7), {}
        for i in range(ROUNDS):
            path, damaged = self.damage(dice)
            note = f"round {i}: {path}, {len(damaged)} bytes of {len(self.good[path])}"
            self.write(path, damaged)
            done = self.play(f"fixed:{dice.randrange(LEVELS)}")
            self.assertIn(done.returncode, (0, 1, 3, 4), f"{note}\n{done.stderr_text}")
            ended[done.returncode] = ended.get(done.returncode, 0) + 1
            if done.returncode in (0, 1):
                self.judge(json.loads(done.stdout_text), note)
            else:
                self.assertFalse(os.path.exists(self.out), note)
                self.assertRegex(done.stderr_text, re.escape(os.path.basename(path)) + "|manifest", note)
            if i % 4 == 0 or FULL:
                self.verify(path, damaged, note)
            self.write(path, self.good[path])
        print("plays by exit code:", ended, flush=True)

    def test_a_prefix_entry_that_lies_is_not_believed(self):
        store = os.path.join(self.work, "lies")
        presentations = []
        for seed in (1, 2):
            kv = os.path.join(self.work, f"kv{seed}.safetensors")
            write_kv_file(kv, seed=seed, tokens=64)
            done = self.programs.run("pack", kv, "--out", store, "--chunk-tokens", "16", "--json", expect=0)
            presentations.append(json.loads(done.stdout_text))
        tokens = os.path.join(self.work, "tokens.json")
        with open(presentations[0]["manifest"]) as f, open(tokens, "w") as to:
            json.dump(json.load(f)["text"]["tokens"], to)
        server = Server(self.programs, store)
        play = ["play", "--store", server.url, "--tokens", tokens, "--weights", "synthetic-weights", "--ttft-slo-ms", "60000", "--no-prior"]
        self.programs.run(*play, expect=0)
        for entry in glob.glob(os.path.join(store, "t/public/k/*/*")):
            with open(entry) as f:
                text = f.read()
            with open(entry, "w") as f:
                f.write(text.replace(presentations[0]["presentation"], presentations[1]["presentation"]))
        refused = self.programs.run(*play, expect=4)
        self.assertIn("prefix", refused.stderr_text)
        self.assertEqual(server.stop()[0], 0)

    def damage(self, dice):
        path = dice.choice(sorted(self.good))
        content = bytearray(self.good[path])
        at = dice.randrange(len(content))
        if dice.random() < 0.25:
            return path, bytes(content[:at])
        content[at] ^= dice.randrange(1, 256)
        return path, bytes(content)

    def write(self, path, content):
        with open(os.path.join(self.store, path), "wb") as f:
            f.write(content)

    def judge(self, report, note):
        tensors = read_tensors(self.out)
        for chunk in report["chunks"]:
            begin, end = chunk["tokens"]
            for name, content in tensors.items():
                row = len(content) // 200
                part = slice(begin * row, end * row)
                self.assertEqual(content[part], self.by_level[chunk["level"]][name][part], f"{note}: {name}, tokens {begin} to {end}")

    def verify(self, path, damaged, note):
        done = self.programs.run("verify", self.store)
        self.assertIn(done.returncode, (0, 1), f"{note}\n{done.stderr_text}")
        if done.returncode == 1:
            self.assertTrue(any(os.path.basename(path) in line for line in done.stdout_text.splitlines()), f"{note}\n{done.stdout_text}")
            return
        self.assertTrue(path.endswith(".json") or "/k/" in path, note)
        self.assertEqual(self.known(json.loads(damaged)), self.known(json.loads(self.good[path])), note)

    @staticmethod
    def known(document):
        """Less what may be absent, and what no reader knows: a name that is damaged is one of those."""
        names = {"kvcast", "id", "type", "codec", "created", "model", "profile", "tokens", "chunk_tokens", "levels", "raw_bytes",
                 "text", "base_urls", "chunks", "presentation", "chunk"}
        return {name: value for name, value in document.items() if name in names}


class GoldenBad(unittest.TestCase):
    def test_verify_explains_each_in_a_line(self):
        programs = Programs(sys.argv[1], "", tempfile.gettempdir())
        files = [file for kind in ("kvo", "json", "safetensors") for file in glob.glob(os.path.join(HERE, f"../golden/*/bad_*.{kind}"))]
        self.assertGreater(len(files), 60)
        for file in files if FULL else sorted(files)[::3]:
            done = programs.run("verify", file)
            self.assertEqual(done.returncode, 1, f"{file}\n{done.stderr_text}")
            lines = done.stdout_text.splitlines()
            self.assertEqual(len(lines), 2, f"{file}: {lines}")
            self.assertTrue(lines[0].startswith(file + ": "), lines[0])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
