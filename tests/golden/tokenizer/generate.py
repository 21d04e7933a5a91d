#!/usr/bin/env python3
"""Writes encodings.json: what Hugging Face `tokenizers` makes of a few sentences, with the pocket model's vocabulary
and three ways of splitting text. Run: python3 tests/golden/tokenizer/generate.py   (pip install tokenizers)"""
import json
import pathlib

import tokenizers

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "data" / "pocket-lm" / "tokenizer.json"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITTERS = {
    "file": None,
    "gpt2": dict(BYTE_LEVEL, use_regex=True),
    "llama3": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False}, BYTE_LEVEL]},
}
TEXTS = [
    "",
    "a",
    "The lighthouse keeper counted every ship.",
    "She hadn't slept; they'D said it WOULDN'T matter, and I'll admit it didn't.",
    "  two leading spaces,   three inside, and trailing   ",
    "tabs\tand\r\nline endings\n\n\nand a last line",
    "12 boats, 345 nets, 6789 fish, 3.14159 and 1,000,000",
    "naïve café über Straße — “quoted” … £20",
    "東京の海は静かだった。 Владивосток ждал. שלום مرحبا",
    "smile 🙂🙃 snowman ☃ flag 🇫🇮 family 👩‍👩‍👧",
    "no\u00a0break, ideographic\u3000space, next\u0085line, em\u2003space",
    "e\u0301 combining, \u200bzero width, ½ Ⅷ ٣",
    "<|doc|>A new text.<|doc|><|doc|> And another <|doc| that is none|>",
    "for (int i = 0; i < n; ++i) { x[i] ^= 0xFF; }  // code",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa hmmmmmm!!!!!!???",
    "He said nothing. He said nothing. He said, at last, nothing at all.",
]


def main():
    cases = []
    for name, splitter in SPLITTERS.items():
        spec = json.loads(MODEL.read_text(encoding="utf-8"))
        if splitter is not None:
            spec["pre_tokenizer"] = splitter
            spec["model"]["ignore_merges"] = name == "llama3"
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(spec))
        for text in TEXTS:
            cases.append({"splitter": name, "text": text, "ids": tokenizer.encode(text).ids})
    lines = ",\n".join(json.dumps(case) for case in cases)
    golden = '{{"splitters": {},\n "cases": [\n{}\n]}}\n'.format(json.dumps(SPLITTERS), lines)
    (HERE / "encodings.json").write_text(golden)


if __name__ == "__main__":
    main()
