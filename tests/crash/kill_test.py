#!/usr/bin/env python3
"""kill -9 at random moments: of the packager, the origin, the player. 10 each; 200 with KVCAST_FULL=1.

    tests/crash/kill_test.py KVCAST SHIM [TEST...]

Every other kill comes in place of the n-th call that changes a file, the others from outside, after a random time.
"""
import os
import random
import threading
import time

from stage import ROUNDS, Stage, main, read_tensors, temporaries, tree, unsound
from programs import Server


def kill_after(process, seconds):
    """Its exit code: -9, or what it ended with before."""
    time.sleep(seconds)
    process.kill()
    process.communicate()
    return process.returncode


class Packager(Stage):
    def test_what_a_killed_packager_leaves(self):
        dice, killed = random.Random(1), 0
        begin = time.monotonic()
        self.pack(self.second, self.store, below=[self.place], expect=0)
        lasts, calls = time.monotonic() - begin, self.programs.counts()[0]["any"]
        for i in range(ROUNDS):
            self.reset()
            n, after = dice.randint(1, calls), dice.random() * lasts
            note = f"killed at call {n}" if i % 2 == 0 else f"killed after {after:.4f} s"
            if i % 2 == 0:
                code = self.pack(self.second, self.store, below=[self.place], fault=f"any:{n}:kill").returncode
            else:
                code = kill_after(self.programs.start(*self.pack_arguments(self.second, self.store)), after)
            self.assertIn(code, (0, -9), note)
            killed += code == -9
            self.expect_sound(tree(self.store), note)
            self.expect_next_run_ends_it(self.store, note)
        self.assertGreater(killed, ROUNDS // 3)

    def test_many_killed_ones_in_a_row(self):
        for n in range(1, 40, 3):
            self.pack(self.second, self.store, below=[self.place], fault=f"any:{n}:kill")
            self.expect_sound(tree(self.store), f"call {n}")
        self.expect_next_run_ends_it(self.store, "after all of them")


class Origin(Stage):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.work, "played.safetensors")
        self.manifest = next(path for path in self.before if "/m/" in path)

    def play(self, url, level):
        return self.programs.run("play", f"{url}/{self.manifest}", "--ttft-slo-ms", "60000", "--controller", f"fixed:{level}", "--no-prior",
                                 "--out", self.out)

    def test_a_player_gets_over_a_killed_origin(self):
        server = Server(self.programs, self.store)
        by_level = []
        for level in range(4):
            self.assertEqual(self.play(server.url, level).returncode, 0)
            by_level.append(read_tensors(self.out))
        server.kill()
        dice, bytes_in_all = random.Random(2), sum(map(len, self.before.values()))
        for i in range(ROUNDS):
            lasts = 0.4
            server = Server(self.programs, self.store, "--pace", f"{bytes_in_all * 8e-6 / lasts:.3f}")
            port, done = server.port, []
            player = threading.Thread(target=lambda: done.append(self.play(f"http://127.0.0.1:{port}", 3)))
            player.start()
            time.sleep(dice.random() * lasts)
            server.kill()
            server = Server(self.programs, self.store, port=port)
            player.join()
            self.assertEqual(server.stop()[0], 0)
            self.assertEqual(done[0].returncode, 0, done[0].stderr_text)
            self.assertIn(read_tensors(self.out), by_level, f"round {i}")
            self.assertEqual(tree(self.store), self.before)


    def test_a_stop_is_heard_however_early(self):
        for _ in range(2 * ROUNDS):
            code, errors = Server(self.programs, self.store).stop()
            self.assertEqual(code, 0, errors)


class Player(Stage):
    def test_the_file_is_the_old_or_the_new_one(self):
        server = Server(self.programs, self.store)
        manifest = next(path for path in self.before if "/m/" in path)
        folder = os.path.join(self.work, "out")
        out = os.path.join(folder, "out.safetensors")
        arguments = ["play", f"{server.url}/{manifest}", "--ttft-slo-ms", "60000", "--controller", "fixed:3", "--no-prior", "--out", out]
        os.makedirs(folder)
        begin = time.monotonic()
        self.programs.run(*arguments, below=[folder], expect=0)
        lasts, calls = time.monotonic() - begin, self.programs.counts()[0]["any"]
        with open(out, "rb") as f:
            new = f.read()
        dice, killed = random.Random(3), 0
        for i in range(ROUNDS):
            with open(out, "wb") as f:
                f.write(b"old")
            n, after = dice.randint(1, calls), (0.3 + 0.7 * dice.random()) * lasts
            if i % 2 == 0:
                code = self.programs.run(*arguments, below=[folder], fault=f"any:{n}:kill").returncode
            else:
                code = kill_after(self.programs.start(*arguments), after)
            killed += code == -9
            with open(out, "rb") as f:
                self.assertIn(f.read(), (b"old", new), f"call {n}, {after:.4f} s")
            self.programs.run(*arguments, expect=0)
            files = tree(folder)
            self.assertEqual(temporaries(files), [])
            self.assertEqual(files, {"out.safetensors": new})
        self.assertGreater(killed, ROUNDS // 3)
        self.assertEqual(server.stop()[0], 0)


if __name__ == "__main__":
    main()
