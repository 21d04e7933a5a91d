#!/usr/bin/env python3
"""An origin that takes uploads: killed, cut off from its power, on a full disk. 10 rounds each; 200 with KVCAST_FULL=1.

    tests/crash/ingest_test.py KVCAST SHIM [TEST...]
"""
import http.client
import json
import os
import random
import threading
import time

from stage import ROUNDS, Stage, main, tree
from disk_model import Disk, read_journal
from programs import Server

LOSSES = (0.0, 0.5, 1.0)


class Ingest(Stage):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        order = {"o": 0, "m": 1, "k": 2}
        own = [path for path in cls.after if cls.after[path] != cls.before.get(path)]
        cls.uploads = sorted(own, key=lambda path: (order[path.split("/")[2]], path))

    def serve(self, **shim):
        if shim:
            shim["below"] = [self.place]
        return Server(self.programs, self.store, "--ingest", "open", **shim)

    def put(self, connection, path, pieces=1):
        """Status of the last one, as published in so many pieces."""
        content, status = self.after[path], 0
        if pieces == 1 or len(content) < pieces:
            connection.request("PUT", "/" + path, body=content)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        at = 0
        for i in range(pieces):
            end = len(content) * (i + 1) // pieces
            connection.request("PUT", "/" + path, body=content[at:end],
                               headers={"Content-Range": f"bytes {at}-{end - 1}/{len(content)}"})
            answer = connection.getresponse()
            answer.read()
            status, at = answer.status, end
            if status != 202:
                break
        return status

    def publish(self, server, on_done=lambda path: None, dice=None):
        """Uploads until one fails; what was acknowledged, and the status of what was not."""
        done, connection = [], http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            for path in self.uploads:
                in_pieces = dice is not None and "/o/" in path and dice.random() < 0.5
                status = self.put(connection, path, 3 if in_pieces else 1)
                if status != 201:
                    return done, status
                done.append(path)
                on_done(path)
        except (OSError, http.client.HTTPException):
            return done, None
        finally:
            connection.close()
        return done, 201

    @staticmethod
    def published(files):
        return {path: content for path, content in files.items() if "/.incoming/" not in path}

    def expect_kept(self, files, done, note):
        self.expect_sound(self.published(files), note)
        for path in done:
            self.assertEqual(files.get(path), self.after[path], f"{note}: {path} was acknowledged")

    def expect_the_next_one_ends_it(self, note):
        server = self.serve()
        self.assertEqual(self.publish(server)[1], 201, note)
        self.assertEqual(server.stop()[0], 0)
        self.assertEqual(self.published(tree(self.store)), self.after, note)

    def calls_of_one(self):
        server, begin = self.serve(fault="any:1000000:kill"), time.monotonic()
        self.assertEqual(self.publish(server)[1], 201)
        lasts = time.monotonic() - begin
        server.stop()
        return self.programs.counts()[0], lasts

    def test_killed_while_it_takes_uploads(self):
        counts, lasts = self.calls_of_one()
        dice, killed = random.Random(1), 0
        for i in range(ROUNDS):
            self.reset()
            if i % 2 == 0:
                n = dice.randint(1, counts["any"])
                note, server = f"killed at call {n}", self.serve(fault=f"any:{n}:kill")
            else:
                after = dice.random() * lasts
                note, server = f"killed after {after:.4f} s", self.serve()
                threading.Timer(after, server.process.kill).start()
            done, status = self.publish(server, dice=dice)
            killed += status is None
            server.kill()
            self.expect_kept(tree(self.store), done, note)
            self.expect_the_next_one_ends_it(note)
        self.assertGreater(killed, ROUNDS // 4)

    def test_power_cuts(self):
        journal = os.path.join(self.work, "ingest-journal")
        disk, dice, safe_from = Disk(self.store), random.Random(2), {}
        server = self.serve(journal=journal)

        def remember(path):
            safe_from[path] = len(read_journal(journal))
        self.assertEqual(self.publish(server, remember, dice)[1], 201)
        server.stop()
        operations, name = read_journal(journal), os.path.basename(self.store) + "/"
        for k in range(len(operations) + 1):
            for loss in LOSSES:
                found = disk.cut(dice, loss)
                files = {path[len(name):]: content for path, content in found.items() if content is not None and path.startswith(name)}
                self.expect_kept(files, [path for path in safe_from if safe_from[path] <= k], f"cut after call {k}, loss {loss}")
            if k < len(operations):
                disk.apply(operations[k])
        print(f"{len(operations)} calls", flush=True)

    def test_a_full_disk(self):
        counts, _ = self.calls_of_one()
        dice = random.Random(3)
        for n in sorted({dice.randint(1, counts["write"]) for _ in range(ROUNDS)}):
            self.reset()
            server = self.serve(fault=f"write:{n}:full")
            done, status = self.publish(server)
            self.assertEqual(status, 507, f"write {n}")
            self.assertEqual(server.stop()[0], 0)
            files = tree(self.store)
            self.expect_kept(files, done, f"write {n}")
            self.assertEqual(self.published(files), files, f"write {n}: something was left")
            self.expect_the_next_one_ends_it(f"write {n}")

    def withdraw(self, server):
        """Entries first, then the manifest; objects are left to be collected."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for path in reversed([path for path in self.uploads if "/o/" not in path]):
            if path in self.before:
                connection.request("PUT", "/" + path, body=self.before[path])
            else:
                connection.request("DELETE", "/" + path)
            answer = connection.getresponse()
            answer.read()
            self.assertIn(answer.status, (201, 204), path)
        connection.close()

    def test_garbage_collection_beside_uploads(self):
        """What is named stays, though almost everything else is old enough to go."""
        server, over, removed = self.serve(), threading.Event(), []

        def collect():
            while not over.is_set():
                done = self.programs.run("gc", self.store, "--grace", "1s", "--json")
                removed.append(json.loads(done.stdout_text)["removed_objects"] if done.returncode == 0 else None)
        collector = threading.Thread(target=collect)
        collector.start()
        try:
            for i in range(ROUNDS):
                _, status = self.publish(server)
                self.assertIn(status, (201, 409), f"round {i}: slower than the grace period is refused, never torn")
                self.expect_sound(self.published(tree(self.store)), f"round {i}")
                self.withdraw(server)
        finally:
            over.set()
            collector.join()
            server.stop()
        self.assertNotIn(None, removed)
        self.programs.run("gc", self.store, "--grace", "0", expect=0)
        self.assertEqual(self.published(tree(self.store)), self.before)


if __name__ == "__main__":
    main()
