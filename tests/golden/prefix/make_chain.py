#!/usr/bin/env python3
"""Writes chain.txt: a prefix hash chain by hashlib alone, from manifests/prefix_format.md."""
import hashlib
import pathlib
import struct


def string(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def chain(salt, weights, adapter, keys, tokens):
    seed = b"kvcast prefix 1\0" + string(salt) + string(weights) + string(adapter)
    seed += struct.pack("<I", len(keys)) + b"".join(map(string, keys))
    previous = hashlib.sha256(seed).digest()
    for begin in range(0, len(tokens) - 15, 16):
        block = struct.pack("<16I", *tokens[begin:begin + 16])
        previous = hashlib.sha256(previous + block).digest()
        yield previous.hex()


if __name__ == "__main__":
    tokens = [i * 67108859 % 2**32 for i in range(64)]
    lines = chain("sält", "meta/llama", "lora", ["", "image"], tokens)
    (pathlib.Path(__file__).parent / "chain.txt").write_text("\n".join(lines) + "\n")
