#!/usr/bin/env python3
"""Power cuts: whatever was not synced may be lost (disk_model.py). 10 disks, taken up by the next run; 200 with
KVCAST_FULL=1. Besides, cuts after every single call are judged as they are.

    tests/crash/power_cut_test.py KVCAST SHIM [TEST...]
"""
import os
import random
import shutil

from stage import FULL, ROUNDS, Stage, main, temporaries, tree
from disk_model import Disk, materialise, read_journal
from programs import Server

LOSSES = (0.0, 0.2, 0.5, 0.9, 1.0)


class PowerCut(Stage):
    def setUp(self):
        super().setUp()
        self.journal = os.path.join(self.work, "journal")
        if os.path.exists(self.journal):
            os.unlink(self.journal)


    def files_of(self, found, root):
        name = os.path.basename(root) + "/"
        return {path[len(name):]: content for path, content in found.items() if content is not None and path.startswith(name)}

    def test_cuts_of_a_packager(self):
        disk = Disk(self.store)
        self.pack(self.second, self.store, below=[self.place], journal=self.journal, expect=0)
        operations, dice = read_journal(self.journal), random.Random(1)
        chosen = {dice.randrange(len(operations) + 1) for _ in range(ROUNDS)}
        disks = 0
        for k in range(len(operations) + 1):
            for loss in LOSSES * (8 if FULL else 1):
                found = disk.cut(dice, loss)
                self.expect_sound(self.files_of(found, self.store), f"cut after call {k}, loss {loss}")
                disks += 1
            if k in chosen or FULL and k % 2 == 0:
                self.take_up(disk.cut(dice, dice.choice(LOSSES)), f"cut after call {k}")
            if k < len(operations):
                disk.apply(operations[k])
        print(f"{len(operations)} calls, {disks} disks", flush=True)
        for loss in LOSSES:     # it said that it was done
            files = self.files_of(disk.cut(dice, loss), self.store)
            self.assertEqual({path: files[path] for path in files if path not in temporaries(files)}, self.after)

    def take_up(self, found, note):
        above = os.path.join(self.work, "cut")
        os.makedirs(above)
        materialise(found, above)
        self.expect_next_run_ends_it(os.path.join(above, "store"), note)
        shutil.rmtree(above)

    def test_a_packager_is_killed_and_the_next_one_ends_before_the_cut(self):
        """What the second finds done must be safe, too, though the first was killed before it could see to that."""
        shutil.rmtree(self.store)
        self.pack(self.second, self.store, below=[self.place], expect=0)
        calls, expected = self.programs.counts()[0]["any"], tree(self.store)
        dice = random.Random(2)
        for n in range(1, calls + 1) if FULL else sorted(dice.sample(range(1, calls + 1), 4 * ROUNDS)):
            shutil.rmtree(self.store)
            disk = Disk(self.store)
            if os.path.exists(self.journal):
                os.unlink(self.journal)
            self.pack(self.second, self.store, below=[self.place], journal=self.journal, fault=f"any:{n}:kill")
            self.pack(self.second, self.store, below=[self.place], journal=self.journal, expect=0)
            for operation in read_journal(self.journal):
                disk.apply(operation)
            for loss in (0.5, 1.0):
                files = self.files_of(disk.cut(dice, loss), self.store)
                self.assertEqual({path: files[path] for path in files if path not in temporaries(files)}, expected,
                                 f"killed at call {n}, loss {loss}: lost {sorted(set(expected) - set(files))}")

    def test_cuts_of_a_player(self):
        server = Server(self.programs, self.store)
        manifest = next(path for path in self.before if "/m/" in path)
        folder = os.path.join(self.work, "played")
        out = os.path.join(folder, "out.safetensors")
        os.makedirs(folder)
        with open(out, "wb") as f:
            f.write(b"old")
        disk, dice = Disk(folder), random.Random(3)
        self.programs.run("play", f"{server.url}/{manifest}", "--ttft-slo-ms", "60000", "--controller", "fixed:3", "--no-prior",
                          "--out", out, below=[folder], journal=self.journal, expect=0)
        self.assertEqual(server.stop()[0], 0)
        with open(out, "rb") as f:
            new = f.read()
        for operation in read_journal(self.journal):
            for _ in range(ROUNDS):
                found = disk.cut(dice, dice.choice(LOSSES))
                self.assertIn(found["played/out.safetensors"], (b"old", new))
            disk.apply(operation)
        self.assertEqual(disk.cut(dice, 1.0)["played/out.safetensors"], new)


if __name__ == "__main__":
    main()
