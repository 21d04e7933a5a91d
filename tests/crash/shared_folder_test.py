#!/usr/bin/env python3
"""A full disk, several packagers in one folder, and a publication that races its readers.

    tests/crash/shared_folder_test.py KVCAST SHIM [TEST...]
"""
import os
import random
import shutil
import subprocess
import threading

from stage import ROUNDS, Stage, main, read_tensors, temporaries, tree, unsound
from programs import Server


class FullDisk(Stage):
    def test_writes_fail_from_some_point_on(self):
        self.pack(self.second, self.store, below=[self.place], expect=0)
        writes, dice = self.programs.counts()[0]["write"], random.Random(1)
        for n in sorted({dice.randint(1, writes) for _ in range(ROUNDS)}):
            self.reset()
            done = self.pack(self.second, self.store, below=[self.place], fault=f"write:{n}:full", expect=3)
            self.assertIn("No space left on device", done.stderr_text)
            files = tree(self.store)
            self.expect_sound(files, f"write {n}")
            self.assertEqual(temporaries(files), [])
            self.expect_next_run_ends_it(self.store, f"write {n}")

    def test_a_small_file_system(self):
        place = os.path.join(self.work, "small")
        os.makedirs(place)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", place], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("may not mount a tmpfs")
        try:
            for spare_kb in range(0, 128, 128 // min(ROUNDS, 16)):
                filler, store = os.path.join(place, "filler"), os.path.join(place, "store")
                with open(filler, "wb") as f:
                    f.write(bytes(1024 * spare_kb))
                done = self.pack(self.second, store)
                self.assertIn(done.returncode, (0, 3))
                if done.returncode == 3:
                    self.assertIn("No space left on device", done.stderr_text)
                self.assertIsNone(unsound(tree(store)))
                self.assertEqual(temporaries(tree(store)), [])
                shutil.rmtree(store, ignore_errors=True)
        finally:
            subprocess.run(["umount", place], check=True)


class Packagers(Stage):
    def race(self, caches, note, kill=()):
        racing = [self.programs.start(*self.pack_arguments(kv, self.store)) for kv in caches]
        for index in kill:
            racing[index].kill()
        for index, process in enumerate(racing):
            _, errors = process.communicate(timeout=120)
            self.assertIn(process.returncode, (0, -9) if index in kill else (0,), f"{note}: {errors}")
            self.assertIsNone(unsound(tree(self.store)), note)

    def expect_both(self, note):
        files = tree(self.store)
        self.assertEqual(temporaries(files), [], note)
        self.assertEqual(sorted(files), sorted(self.after), note)
        for path, content in files.items():
            if content != self.after[path]:      # a shared prefix entry names either presentation
                self.assertEqual(content, self.before[path], f"{note}: {path}")

    def test_of_the_same_cache(self):
        for i in range(ROUNDS):
            self.reset()
            self.race([self.second] * 3, f"round {i}")
            self.expect_both(f"round {i}")

    def test_of_different_caches(self):
        for i in range(ROUNDS):
            shutil.rmtree(self.store)
            self.race([self.first, self.second, self.first, self.second], f"round {i}")
            self.expect_both(f"round {i}")

    def test_while_others_are_killed(self):
        for i in range(ROUNDS):
            shutil.rmtree(self.store)
            self.race([self.first, self.second, self.second, self.first], f"round {i}", kill=(2, 3))
            self.expect_next_run_ends_it_in_any_order(f"round {i}")

    def expect_next_run_ends_it_in_any_order(self, note):
        self.pack(self.second, self.store, expect=0)
        self.expect_both(note)


class Readers(Stage):
    def test_a_publication_races_its_readers(self):
        server = Server(self.programs, self.store)
        manifest = next(path for path in self.before if "/m/" in path)
        out = os.path.join(self.work, "read.safetensors")
        play = ["play", f"{server.url}/{manifest}", "--ttft-slo-ms", "60000", "--controller", "fixed:3", "--no-prior", "--out", out]
        self.programs.run(*play, expect=0)
        expected, over = read_tensors(out), threading.Event()

        def publish():
            year = 2030
            while not over.is_set():
                year += 1
                self.programs.run(*self.pack_arguments(self.first, self.store), "--expires", f"{year}-01-01T00:00:00Z", expect=0)
        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            for i in range(2 * ROUNDS):
                done = self.programs.run(*play)
                self.assertEqual(done.returncode, 0, f"round {i}: {done.stderr_text}")
                self.assertEqual(read_tensors(out), expected, f"round {i}")
        finally:
            over.set()
            publisher.join()
        self.assertEqual(server.stop()[0], 0)
        self.programs.run("verify", self.store, expect=0)


if __name__ == "__main__":
    main()
