#!/usr/bin/env python3
"""Fault injection over the real programs: the n-th call of a kind fails, for n = 1, 2, ... until a run has no n-th call.

    tests/faults/fault_test.py KVCAST SHIM pack|serve|through|play|recompute [CALL...]

Whatever fails: the exit code is a documented one and the error names the cause; nothing torn is left, nothing that names
what is not there, no temporary; and the next run, with nothing failing, ends as if nothing had happened.
A plain run takes n = 1 to 6, then steps that grow by a third (allocations: by a half; recompute, which is slow: fourfold
from the start); with KVCAST_FULL=1 every n is taken.
"""
import errno
import http.client
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import FULL, Programs, Server, get, read_tensors, temporaries, tree, unsound, unsound_objects, write_kv_file  # noqa: E402

SHORT = "short"
FILES = [("open", errno.EMFILE), ("open", errno.ENOSPC), ("read", errno.EIO), ("read", errno.EINTR), ("read", SHORT),
         ("write", errno.ENOSPC), ("write", errno.EINTR), ("write", SHORT), ("sync", errno.EIO), ("rename", errno.ENOSPC),
         ("mkdir", errno.ENOSPC), ("unlink", errno.EIO), ("truncate", errno.ENOSPC), ("stat", errno.EIO)]
MEMORY = [("thread", errno.EAGAIN), ("new", errno.ENOMEM), ("malloc", errno.ENOMEM)]
SOCKETS = [("socket", errno.EMFILE), ("send", errno.ECONNRESET), ("send", SHORT), ("recv", errno.ECONNRESET), ("recv", SHORT)]


# Where libcurl 7.88 takes its own lack of memory for something else.
LIBCURL_ERRS = ("(Bad scheme)", "Unknown failure within decompression software")


def names_cause(action, errors):
    if action == errno.ENOMEM and any(text in errors for text in LIBCURL_ERRS):
        return True
    if action == errno.ENOMEM:
        # The C library itself answers EAGAIN where a thread's stack or tables do not fit.
        return "memory" in errors.lower() or os.strerror(errno.EAGAIN).lower() in errors.lower()
    return os.strerror(action).lower() in errors.lower()


class Campaign:
    """One program; the faults of one kind after another."""
    calls = []

    def numbers(self, call):
        n, growth = 1, 1.5 if call in ("new", "malloc") else 4 / 3
        while True:
            yield n
            n = n + 1 if FULL or n < 6 else int(n * growth) + 1

    def __init__(self, kvcast, shim, work):
        self.programs, self.work, self.failures, self.points = Programs(kvcast, shim, work), work, [], 0
        self.kv = os.path.join(work, "kv.safetensors")
        write_kv_file(self.kv)
        self.store = os.path.join(work, "store")
        self.pack()
        self.expected = tree(self.store)
        assert len(self.expected) > 15 and not unsound(self.expected)

    def pack(self, **options):
        return self.programs.run("pack", self.kv, "--out", self.store, "--chunk-tokens", "16", "--exact", "--threads", "2", **options)

    def fail(self, point, what, errors=""):
        self.failures.append(f"{point}: {what}\n    {errors.strip()[-600:]}")

    def judge_exit(self, point, action, code, errors, good=(0,)):
        if code in good:
            return True
        refused = code == 2 and action == errno.ENOMEM and LIBCURL_ERRS[0] in errors
        if code != 3 and not refused or action in (SHORT, errno.EINTR):
            self.fail(point, f"exit {code}", errors)
        elif not names_cause(action, errors):
            self.fail(point, "the error does not name the cause", errors)
        return False

    def sweep(self, only):
        for call, action in self.calls:
            if only and call not in only:
                continue
            struck = 0
            for n in self.numbers(call):
                point = f"{call}:{n}:{action}"
                try:
                    if not self.at(point, action):
                        break
                except AssertionError as hang:
                    self.fail(point, str(hang))
                struck += 1
            self.points += struck
            name = action if action == SHORT else errno.errorcode[action]
            print(f"{type(self).__name__}: {call} {name}: {struck} points, {len(self.failures)} failures", flush=True)

    def at(self, point, action):
        """One run with this fault; whether it struck."""
        raise NotImplementedError


class Pack(Campaign):
    calls = FILES + MEMORY

    def at(self, point, action):
        shutil.rmtree(self.store)
        done = self.pack(below=[self.store, self.kv], fault=point)
        _, struck = self.programs.counts()
        self.judge_exit(point, action, done.returncode, done.stderr_text)
        left = tree(self.store) if os.path.exists(self.store) else {}
        if unsound(left):
            self.fail(point, unsound(left))
        if done.returncode == 0 and left != self.expected:
            self.fail(point, "exit 0, but the store is not what it should be")
        # A failing unlink leaves the name, of course.
        if temporaries(left) and not point.startswith("unlink"):
            self.fail(point, f"temporaries left: {temporaries(left)}")
        self.pack(expect=0)
        if tree(self.store) != self.expected:
            self.fail(point, "after the next run the store is not what it should be")
        return struck

    def finish(self):
        self.programs.run("verify", self.store, expect=0)


class Serve(Campaign):
    strange = range(400, 500)       # statuses that nothing excuses for what is there
    calls = [("open", errno.EMFILE), ("open", errno.EIO), ("stat", errno.EIO), ("accept", errno.EMFILE),
             ("accept", errno.ECONNABORTED), ("send", errno.EIO)] + SOCKETS + MEMORY

    def at(self, point, action):
        server = self.start(point)
        if server.port is None:
            _, errors = server.process.communicate()
            if server.process.returncode == 0 or not self.judge_exit(point, action, server.process.returncode, errors):
                return True
        self.visit(point, server)
        _, struck = self.programs.counts()
        code, errors = server.stop()
        if code != 0:
            self.fail(point, f"exit {code} after SIGTERM", errors)
        return struck

    def visit(self, point, server):
        path, content = max(self.expected.items(), key=lambda file: len(file[1]))
        url = f"{server.url}/{path}"
        for headers, method, good in (({}, "GET", content), ({"Range": "bytes=8-99"}, "GET", content[8:100]), ({}, "HEAD", b""),
                                      ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, "GET", b""), ({}, "GET", content)):
            try:
                status, body = get(url, headers, method)
            except (OSError, http.client.HTTPException):
                continue
            if status < 400 and body != good:
                self.fail(point, f"a wrong body with status {status}")
            if status in self.strange:
                self.fail(point, f"status {status} for what is there")
        for attempt in range(3):     # the fault may strike once more here
            try:
                if get(url) == (200, content):
                    return
            except (OSError, http.client.HTTPException):
                continue
        self.fail(point, "the server does not answer any more")

    def start(self, point):
        return Server(self.programs, self.store, below=[self.store], fault=point)

    def finish(self):
        pass


class Through(Serve):
    """A cache, empty each time, of an origin in which nothing fails."""
    calls = [("open", errno.EMFILE), ("open", errno.ENOSPC), ("write", errno.ENOSPC), ("sync", errno.EIO), ("rename", errno.ENOSPC),
             ("mkdir", errno.ENOSPC), ("stat", errno.EIO)] + SOCKETS + MEMORY

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.behind = Server(self.programs, self.store)
        self.cache = os.path.join(self.work, "through")

    def start(self, point):
        shutil.rmtree(self.cache, ignore_errors=True)
        return Server(self.programs, self.behind.url, "--cache", self.cache, "--fetch-threads", "2", "--fetch-wait-ms", "5000",
                      below=[self.cache], fault=point)

    def at(self, point, action):
        struck = super().at(point, action)
        if os.path.exists(self.cache) and unsound_objects(tree(self.cache)):
            self.fail(point, unsound_objects(tree(self.cache)))
        return struck

    def finish(self):
        code, errors = self.behind.stop()
        assert code == 0, errors


class Play(Campaign):
    calls = FILES[:12] + SOCKETS + MEMORY + [("connect", errno.ECONNREFUSED)]

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.server = Server(self.programs, self.store)
        self.out_folder = os.path.join(self.work, "out")
        self.out = os.path.join(self.out_folder, "out.safetensors")
        manifest = next(path for path in self.expected if "/m/" in path)
        self.url = f"{self.server.url}/{manifest}"
        os.makedirs(self.out_folder)
        self.by_level = [self.reference(level) for level in range(4)]
        self.old = b"what was there before"

    def play(self, level=3, **options):
        return self.programs.run("play", self.url, "--ttft-slo-ms", "60000", "--controller", f"fixed:{level}", "--no-prior",
                                 "--out", self.out, **options)

    def reference(self, level):
        assert self.play(level).returncode == 0
        return read_tensors(self.out)

    def at(self, point, action):
        with open(self.out, "wb") as f:
            f.write(self.old)
        done = self.play(below=[self.out_folder], fault=point)
        _, struck = self.programs.counts()
        played = self.judge_exit(point, action, done.returncode, done.stderr_text, good=(0, 1))
        left = tree(self.out_folder)
        if temporaries(left) and not point.startswith("unlink"):
            self.fail(point, f"temporaries left: {temporaries(left)}")
        if left["out.safetensors"] != self.old:
            self.judge_tensors(point)
        elif played:
            self.fail(point, f"exit {done.returncode}, but nothing was written")
        for name in temporaries(left):
            os.unlink(os.path.join(self.out_folder, name))
        return struck

    def judge_tensors(self, point):
        """A chunk of 16 tokens may have come at a lower level; anything else is wrong."""
        for name, content in read_tensors(self.out).items():
            chunk_bytes = len(content) * 16 // 40
            for at in range(0, len(content), chunk_bytes):
                part = slice(at, at + chunk_bytes)
                if not any(content[part] == reference[name][part] for reference in self.by_level):
                    self.fail(point, f"{name}: wrong from byte {at}")
                    return

    def finish(self):
        code, errors = self.server.stop()
        assert code == 0, errors


class Recompute(Play):
    """Everything from the text, by the pocket model: its files and its threads."""
    calls = [("open", errno.EMFILE), ("read", errno.EIO), ("read", SHORT), ("stat", errno.EIO)] + MEMORY
    model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/pocket-lm")

    def numbers(self, call):
        n = 1
        while True:
            yield n
            n = n + 1 if FULL and n < 1000 else 4 * n

    def pack(self, **options):
        """A real cache, once: 40 tokens, as the synthetic one."""
        if not options:
            self.programs.run("prefill", "--model", self.model, "--text", os.path.join(self.model, "../story.txt"), "--limit-tokens", "40",
                              "--out", self.kv, expect=0)
        return super().pack(**options)

    def play(self, level=None, **options):
        options = dict(options, below=options["below"] + [os.path.realpath(self.model)]) if "below" in options else options
        return self.programs.run("play", self.url, "--ttft-slo-ms", "60000", "--controller", "text", "--no-prior", "--engine",
                                 os.path.realpath(self.model), "--out", self.out, **options)


def main():
    kvcast, shim, name, *only = sys.argv[1:]
    work = tempfile.mkdtemp(prefix="kvcast-faults-")
    try:
        campaign = {"pack": Pack, "serve": Serve, "through": Through, "play": Play, "recompute": Recompute}[name](kvcast, shim, work)
        campaign.sweep(only)
        campaign.finish()
    finally:
        shutil.rmtree(work)
    print("\n".join(campaign.failures[:40]))
    print(f"{campaign.points} points, {len(campaign.failures)} failures")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
