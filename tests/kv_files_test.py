#!/usr/bin/env python3
"""KV caches of every kind through the real programs: pack, verify, play exactly and level by level, compare.

    tests/kv_files_test.py KVCAST      where KVCAST is the executable
"""
import json
import math
import os
import random
import shutil
import struct
import sys
import tempfile
import unittest

import end_to_end_test as programs
from end_to_end_test import KvcastServer, run, run_json

WIDTH = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "F8_E5M2": 1}


def e4m3_value(byte):
    sign, exponent, mantissa = -1 if byte & 128 else 1, byte >> 3 & 15, byte & 7
    return sign * (math.ldexp(mantissa, -9) if exponent == 0 else math.ldexp(8 + mantissa, exponent - 10))


E4M3 = [e4m3_value(byte) for byte in range(256)]


def encode(dtype, values):
    if dtype == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if dtype == "BF16":
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    finite = sorted((abs(v), byte) for byte, v in enumerate(E4M3) if byte < 0x7f)
    return bytes(min(finite, key=lambda f: abs(f[0] - abs(v)))[1] | (128 if v < 0 else 0) for v in values)


def decode(dtype, data):
    if dtype == "F32":
        return struct.unpack(f"<{len(data) // 4}f", data)
    if dtype == "BF16":
        wide = bytearray(2 * len(data))
        wide[2::4], wide[3::4] = data[::2], data[1::2]
        return decode("F32", wide)
    return [E4M3[byte] for byte in data]


def write_cache(path, layers, tokens, key, value, rope, dtype="BF16"):
    """`key`, `value`: (heads, dim); value None leaves the tensors out."""
    draw = random.Random(path + dtype)
    header = {"__metadata__": {"model": "made up", "rope": json.dumps(rope), "tokens": json.dumps(list(range(tokens)))}}
    body = b""
    for layer in range(layers):
        for side, shape in (("key", key), ("value", value)):
            if shape is None:
                continue
            channels = [(draw.gauss(0, 1), math.exp(draw.gauss(0, 0.5))) for _ in range(shape[0] * shape[1])]
            data = encode(dtype, [mean + scale * draw.gauss(0, 1) for _ in range(tokens) for mean, scale in channels])
            header[f"layers.{layer}.{side}"] = {"dtype": dtype, "shape": [tokens, *shape],
                                                "data_offsets": [len(body), len(body) + len(data)]}
            body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def read_cache(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        body = f.read()
    metadata = header.pop("__metadata__")
    return metadata, {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}


def relative_error(reference, tensors):
    error = energy = 0
    for name, (dtype, _, data) in reference.items():
        for a, b in zip(decode(dtype, data), decode(dtype, tensors[name][2])):
            error, energy = error + (a - b) ** 2, energy + a ** 2
    return error / energy


class KvFiles(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="kvcast-kinds-")
        os.environ["XDG_CACHE_HOME"] = os.path.join(self.work, "cache")
        self.kv = os.path.join(self.work, "kv.safetensors")

    def tearDown(self):
        shutil.rmtree(self.work)

    def there_and_back(self, worst, chunk_tokens=64, options=()):
        """Plays what was packed from self.kv; the metadata that comes back."""
        store, out = os.path.join(self.work, "store"), os.path.join(self.work, "out.safetensors")
        packed = run_json("pack", self.kv, "--out", store, "--chunk-tokens", str(chunk_tokens), "--exact", *options)
        run("verify", store)
        server = KvcastServer(store)
        try:
            url = f"{server.url}/{os.path.relpath(packed['manifest'], store)}"
            metadata, original = read_cache(self.kv)
            errors = []
            for level in range(4):
                run("play", url, "--ttft-slo-ms", programs.LAVISH_MS, "--controller", f"fixed:{level}", "--out", out)
                _, tensors = read_cache(out)
                self.assertEqual({n: t[:2] for n, t in tensors.items()}, {n: t[:2] for n, t in original.items()})
                errors.append(relative_error(original, tensors))
            self.assertEqual(errors, sorted(errors, reverse=True))
            self.assertLessEqual(errors[-1], worst)
            run("play", url, "--ttft-slo-ms", programs.LAVISH_MS, "--exact", "--out", out)
            back, tensors = read_cache(out)
            self.assertEqual(tensors, original)
            self.assertEqual(json.loads(back["tokens"]), json.loads(metadata["tokens"]))
            return back
        finally:
            server.stop()

    def test_fp8_of_the_pocket_model(self):
        text = os.path.join(programs.ROOT, "tests/data/story.txt")
        run("prefill", "--model", programs.MODEL, "--text", text, "--limit-tokens", "90", "--dtype", "F8_E4M3", "--out", self.kv)
        self.assertEqual({t[0] for t in read_cache(self.kv)[1].values()}, {"F8_E4M3"})
        self.there_and_back(worst=0.005)

    def test_a_latent_without_values(self):
        rope = {"layout": "interleaved", "config": {
            "kv_lora_rank": 96, "qk_rope_head_dim": 32, "rope_theta": 10000,
            "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "mscale": 1, "mscale_all_dim": 0.5}}}
        write_cache(self.kv, 2, 100, (1, 128), None, rope)
        stated = json.loads(self.there_and_back(worst=0.005)["rope"])
        self.assertEqual((stated["first_dim"], stated["rotary_dims"]), (96, 32))
        self.assertEqual(stated["scaling"]["rope_type"], "yarn")
        # What comes back packs to the same planes: nothing of RoPE was lost.
        again = run_json("pack", os.path.join(self.work, "out.safetensors"), "--out", os.path.join(self.work, "store"),
                         "--chunk-tokens", "64", "--exact")
        self.assertEqual(again["objects_written"], 0)

    def test_one_token(self):
        write_cache(self.kv, 2, 1, (2, 8), (2, 8), {"layout": "half_split", "theta": 10000})
        self.there_and_back(worst=0)

    def test_fewer_tokens_than_a_block(self):
        write_cache(self.kv, 1, 9, (1, 96), (1, 80), {"layout": "half_split", "theta": 10000})
        self.there_and_back(worst=0.005)

    def test_layers_that_differ_and_heads_that_rotate_in_part(self):
        rope = [{"layout": "interleaved", "theta": 1e6, "rotary_dims": 4, "scaling": {"rope_type": "linear", "factor": 8}, "layers": [0]},
                {"layout": "interleaved", "theta": 1e4, "first_dim": 2, "rotary_dims": 6, "layers": [2]}]
        write_cache(self.kv, 3, 70, (3, 10), (1, 7), rope, dtype="F32")
        self.assertEqual(json.loads(self.there_and_back(worst=0.005)["rope"]), rope)

    def test_128_heads(self):
        write_cache(self.kv, 2, 70, (128, 4), (128, 2), {"layout": "half_split", "theta": 10000})
        self.there_and_back(worst=0.005)
        for scope in ("head", "layer"):
            profile = os.path.join(self.work, f"{scope}.kvo")
            run("calibrate", self.kv, "--scope", scope, "--out", profile)
            self.there_and_back(worst=0.005, options=("--profile", profile))

    def test_one_dim_and_no_position(self):
        write_cache(self.kv, 1, 40, (1, 1), (1, 1), {"layout": "none"})
        self.there_and_back(worst=0.02)

    def test_what_cannot_be_read_is_named(self):
        write_cache(self.kv, 1, 4, (1, 8), (1, 8), {"layout": "half_split", "theta": 1e4, "scaling": {"type": "spiral"}})
        refused = run("pack", self.kv, "--out", os.path.join(self.work, "store"), expect=4)
        self.assertIn("metadata rope: scaling.type", refused.stderr)
        self.assertIn("inv_freq", refused.stderr)


if __name__ == "__main__":
    programs.KVCAST = sys.argv.pop(1)
    unittest.main(verbosity=2)
