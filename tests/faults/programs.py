"""Runs kvcast with tests/faults/shim.h preloaded, and judges by its own means what it left on the disk."""
import hashlib
import json
import os
import random
import select
import signal
import struct
import subprocess
import urllib.error
import urllib.request

CALLS = ["open", "read", "write", "sync", "rename", "mkdir", "unlink", "truncate", "stat",
         "socket", "accept", "connect", "send", "recv", "thread", "new", "malloc", "any"]    # shim.h, kCallNames
FULL = os.environ.get("KVCAST_FULL") == "1"
PATIENCE_S = 120            # a program that takes longer hangs
EPOCH = "1769860800"        # of all manifests, so that equal input makes equal bytes


class Programs:
    def __init__(self, kvcast, shim, work):
        self.kvcast, self.shim, self.work = os.path.abspath(kvcast), os.path.abspath(shim), work
        self.counts_file = os.path.join(work, "counts")

    def environment(self, below=(), fault=None, journal=None):
        env = dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, XDG_CACHE_HOME=os.path.join(self.work, "cache"), TMPDIR=self.work)
        if below:
            env.update(LD_PRELOAD=self.shim, KVCAST_SHIM_BELOW=":".join(below), KVCAST_SHIM_COUNTS=self.counts_file)
        if fault:
            env["KVCAST_SHIM_FAULT"] = fault
        if journal:
            env["KVCAST_SHIM_JOURNAL"] = journal
        return env

    def start(self, *arguments, below=(), fault=None, journal=None, **options):
        if os.path.exists(self.counts_file):
            os.unlink(self.counts_file)
        return subprocess.Popen([self.kvcast, *arguments], env=self.environment(below, fault, journal), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace", **options)

    def run(self, *arguments, expect=None, **options):
        process = self.start(*arguments, **options)
        try:
            process.stdout_text, process.stderr_text = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"kvcast {' '.join(arguments)} hangs: {options}") from None
        if expect is not None and process.returncode != expect:
            raise AssertionError(f"kvcast {' '.join(arguments)}: exit {process.returncode}, not {expect} ({options})\n{process.stderr_text}")
        return process

    def counts(self):
        """Of the last run: calls by name, and whether the fault struck."""
        if not os.path.exists(self.counts_file):
            return dict.fromkeys(CALLS, 0), False
        with open(self.counts_file, "rb") as f:
            numbers = struct.unpack(f"<{len(CALLS) + 1}Q", f.read())
        return dict(zip(CALLS, numbers)), numbers[-1] > 0


class Server:
    """`kvcast serve`, also with a fault. `port` is None where it ended instead of serving."""

    def __init__(self, programs, root, *options, port=0, **shim):
        self.process = programs.start("serve", root, "--listen", f"127.0.0.1:{port}", "--json", "--threads", "1",
                                      "--no-access-log", *options, **shim)
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        if not ready:
            self.process.kill()
            raise AssertionError("the server neither serves nor ends")
        line = self.process.stdout.readline()
        self.port = json.loads(line)["port"] if line else None
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        """Exit code and stderr."""
        self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the server does not stop") from None
        return self.process.returncode, errors

    def kill(self):
        self.process.kill()
        self.process.communicate()


def get(url, headers=None, method="GET", timeout=20):
    """Status and body; an OSError where the connection broke."""
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def write_kv_file(path, seed=1, tokens=40, layers=2, heads=2, dim=8, distinct_from=0):
    """A KV cache of smooth noise, BF16; token ids from `distinct_from` on depend on the seed."""
    noise = random.Random(seed)
    tensors, data = {}, bytearray()
    for layer in range(layers):
        for side in ("key", "value"):
            begin = len(data)
            mean = [noise.gauss(0, 2) for _ in range(heads * dim)]
            for _ in range(tokens):
                data += b"".join(struct.pack("<f", m + noise.gauss(0, 1))[2:] for m in mean)
            tensors[f"layers.{layer}.{side}"] = {"dtype": "BF16", "shape": [tokens, heads, dim], "data_offsets": [begin, len(data)]}
    ids = [(7 * i + (seed if i >= distinct_from else 0)) % 1000 for i in range(tokens)]
    tensors["__metadata__"] = {"model": "synthetic", "weights": "synthetic-weights", "tokens": json.dumps(ids), "text": f"text {seed}",
                               "rope": json.dumps({"layout": "half_split", "theta": 10000.0})}
    header = json.dumps(tensors).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + data)


def read_tensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {name: data[slice(*tensor["data_offsets"])] for name, tensor in header.items() if name != "__metadata__"}


def tree(root):
    """Relative path -> content of every file below. Temporaries may go meanwhile: others are at work."""
    files = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as f:
                    files[os.path.relpath(path, root)] = f.read()
            except FileNotFoundError:
                if not name.startswith("."):
                    raise
    return files


def temporaries(files):
    return [path for path in files if os.path.basename(path).startswith(".")]


def presentations(files):
    return sorted(path for path in files if path.split("/")[2:3] == ["m"] and not os.path.basename(path).startswith("."))


def unsound_objects(files):
    """Of a cache, which holds objects without what names them: None, or the first that is torn."""
    for path, content in files.items():
        name = os.path.basename(path)
        if path.split("/")[2:3] == ["o"] and not name.startswith(".") and hashlib.sha256(content).hexdigest() + ".kvo" != name:
            return f"{path}: a torn object"
    return None


def unsound(files):
    """What must never be seen in a store, complete run or not: None, or the first of it. `files` is a tree()."""
    def torn(tenant, ref):
        path = f"t/{tenant}/o/{ref['digest'][:2]}/{ref['digest']}.kvo"
        return path not in files or len(files[path]) != ref["bytes"]
    if unsound_objects(files):
        return unsound_objects(files)
    for path, content in files.items():
        name = os.path.basename(path)
        if name.startswith("."):
            continue
        _, tenant, kind = path.split("/")[:3]
        if kind == "k":
            try:
                entry = json.loads(content)
            except ValueError:
                return f"{path}: a torn prefix entry"
            if f"t/{tenant}/m/{entry['presentation']}.json" not in files:
                return f"{path}: names presentation {entry['presentation']}, which is not there"
        if kind == "m":
            try:
                manifest = json.loads(content)
            except ValueError:
                return f"{path}: a torn manifest"
            refs = [manifest["profile"]] + [plane for chunk in manifest["chunks"] for plane in chunk["planes"]]
            refs += [chunk["exact"] for chunk in manifest["chunks"] if chunk.get("exact")]
            for ref in refs:
                if torn(tenant, ref):
                    return f"{path}: names object {ref['digest']}, which is not there"
    return None
