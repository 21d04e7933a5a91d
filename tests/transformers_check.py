#!/usr/bin/env python3
"""Compares the embedded engine with Hugging Face transformers on the same files: tokens, logits, greedy continuation.

    python3 -m venv hf && hf/bin/pip install torch transformers
    hf/bin/python tests/transformers_check.py --probe build/release/tests/engine/engine_probe \
        --model tests/data/pocket-lm [--text FILE ...] [--tokens N] [--greedy N]

Without --text it uses tests/engine/sentences.txt. Exit 0: equal; 1: not; 77: transformers or torch is not installed
(ctest reports that as skipped).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LOGIT_TOLERANCE = 2e-3  # transformers computes RoPE angles in fp32, the engine in fp64
SKIPPED = 77


def probe(args, text, logits_path):
    command = [args.probe, args.model, text, str(args.tokens), str(args.greedy), logits_path]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def check_text(args, tokenizer, model, text):
    import numpy
    import torch

    with tempfile.NamedTemporaryFile() as logits_file:
        ours = probe(args, text, logits_file.name)
        our_logits = numpy.fromfile(logits_file.name, dtype=numpy.float32).reshape(-1, model.config.vocab_size)
    encoded = tokenizer.encode(pathlib.Path(text).read_bytes().decode(), add_special_tokens=False).ids
    tokens = ([model.config.bos_token_id] + encoded)[: args.tokens]
    with torch.no_grad():
        ids = torch.tensor([tokens])
        run = model(ids, use_cache=True)
        theirs, greedy, cache, logits = run.logits[0].numpy(), [], run.past_key_values, run.logits
        for _ in range(args.greedy):
            greedy.append(int(logits[0, -1].argmax()))
            run = model(torch.tensor([[greedy[-1]]]), past_key_values=cache, use_cache=True)
            cache, logits = run.past_key_values, run.logits
    difference = float(abs(our_logits - theirs).max())
    agreement = float((our_logits.argmax(-1) == theirs.argmax(-1)).mean())
    report = {"text": text, "encoded_tokens": len(encoded), "encodings_equal": ours["encoded"] == encoded,
              "round_trip": ours["round_trip"], "tokens": len(tokens), "max_logit_difference": difference,
              "top1_agreement": agreement, "greedy_tokens": len(greedy), "greedy_equal": ours["greedy"] == greedy}
    print(json.dumps(report))
    return (report["encodings_equal"] and report["round_trip"] and difference <= LOGIT_TOLERANCE
            and report["greedy_equal"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", required=True, help="the engine_probe executable")
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", action="append", help="UTF-8 text; may be given again")
    parser.add_argument("--tokens", type=int, default=1024, help="how many tokens the models see")
    parser.add_argument("--greedy", type=int, default=64)
    args = parser.parse_args()
    try:
        import tokenizers
        import torch
        import transformers
    except ImportError as missing:
        print(f"skipped: {missing}")
        return SKIPPED
    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(args.model) / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32,
                                                              attn_implementation="eager")
    model.eval()
    texts = args.text or [str(HERE / "engine" / "sentences.txt")]
    results = [check_text(args, tokenizer, model, text) for text in texts]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
