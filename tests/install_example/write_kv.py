"""Writes a small KV file (manifests/kv_file.h) of smooth random numbers: write_kv.py OUT.safetensors"""
import json
import random
import struct
import sys

LAYERS, TOKENS, HEADS, DIM = 3, 200, 2, 16
random.seed(1)


def bf16(value):
    return struct.pack("<f", value)[2:]


tensors, body = {}, bytearray()
for layer in range(LAYERS):
    for side in ("key", "value"):
        begin = len(body)
        for _ in range(TOKENS * HEADS * DIM):
            body += bf16(random.gauss(0, 1))
        tensors[f"layers.{layer}.{side}"] = {
            "dtype": "BF16", "shape": [TOKENS, HEADS, DIM], "data_offsets": [begin, len(body)]}
tensors["__metadata__"] = {
    "model": "install-example", "tokens": json.dumps([i % 97 for i in range(TOKENS)]),
    "rope": json.dumps({"layout": "half_split", "theta": 10000.0})}
header = json.dumps(tensors).encode()
header += b" " * (-len(header) % 8)
with open(sys.argv[1], "wb") as out:
    out.write(struct.pack("<Q", len(header)) + header + body)
