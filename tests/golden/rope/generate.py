#!/usr/bin/env python3
"""Writes frequencies.json: what Hugging Face transformers makes of configs of many kinds.

    python3 tests/golden/rope/generate.py        (needs torch and transformers; any recent version)

packager/rope_test.cc reads the file. `config` is what the model's config.json says; `expected` lists
the kinds of layers: inverse frequencies (fp32) and the factor on cosines and sines.
"""
import json
import pathlib

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

SMALL = dict(hidden_size=256, intermediate_size=64, num_attention_heads=4, num_hidden_layers=4,
             num_key_value_heads=2, vocab_size=64)


def case(name, config, key_dim, module=None, tokens=0, layer_types=None, layout="half_split"):
    layers = config.num_hidden_layers
    expected = []
    if layer_types:
        for kind in layer_types:
            inv_freq, scaling = getattr(module, kind + "_inv_freq"), getattr(
                module, kind + "_attention_scaling")
            expected.append((inv_freq, scaling,
                             [i for i, t in enumerate(config.layer_types) if t == kind]))
    elif module is None:
        rule = config.rope_parameters["rope_type"]
        inv_freq, scaling = ROPE_INIT_FUNCTIONS[rule](config, None, seq_len=tokens or None)
        expected.append((inv_freq, scaling, list(range(layers))))
    else:
        expected.append((module.inv_freq, module.attention_scaling, list(range(layers))))
    return {"name": name, "config": json.loads(config.to_json_string(use_diff=False)),
            "key_dim": key_dim, "layers": layers, "tokens": tokens, "layout": layout,
            "expected": [{"inv_freq": [float(f) for f in freq], "attention_scaling": float(scaling),
                          "layers": rows} for freq, scaling, rows in expected]}


def llama(name, tokens=0, **keys):
    config = transformers.LlamaConfig(**SMALL, **keys)
    if config.rope_parameters["rope_type"] != "default":
        return case(name, config, 64, tokens=tokens)
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
    return case(name, config, 64, LlamaRotaryEmbedding(config))


def cases():
    yield llama("llama", rope_theta=500000.0)
    yield llama("linear", rope_scaling={"type": "linear", "factor": 4.0})
    yield llama("llama3", rope_theta=500000.0, max_position_embeddings=131072, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192})
    for tokens in (1000, 4096, 10000):
        yield llama(f"dynamic_{tokens}", tokens=tokens, max_position_embeddings=4096,
                    rope_scaling={"rope_type": "dynamic", "factor": 2.0})
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    yield llama("yarn", rope_theta=1e6, max_position_embeddings=131072, rope_scaling=yarn)
    yield llama("yarn_untruncated", max_position_embeddings=131072, rope_scaling={
        **yarn, "factor": 32.0, "truncate": False, "beta_fast": 16.0, "beta_slow": 2.0,
        "attention_factor": 1.25})
    factors = {"short_factor": [1.0 + i / 32 for i in range(32)],
               "long_factor": [2.0 + i for i in range(32)]}
    for tokens in (4000, 5000):
        config = transformers.Phi3Config(
            **SMALL, pad_token_id=0, max_position_embeddings=131072,
            original_max_position_embeddings=4096,
            rope_scaling={"type": "longrope", **factors})
        yield case(f"longrope_{tokens}", config, 64, tokens=tokens)

    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding
    config = transformers.GPTNeoXConfig(**{k: v for k, v in SMALL.items() if "key_value" not in k},
                                        rotary_pct=0.25)
    yield case("gpt_neox", config, 64, GPTNeoXRotaryEmbedding(config))
    from transformers.models.phi.modeling_phi import PhiRotaryEmbedding
    config = transformers.PhiConfig(**SMALL, partial_rotary_factor=0.5)
    yield case("phi", config, 64, PhiRotaryEmbedding(config))
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3RotaryEmbedding
    config = transformers.DeepseekV3Config(
        **SMALL, kv_lora_rank=96, qk_rope_head_dim=32, qk_nope_head_dim=48, v_head_dim=48,
        max_position_embeddings=163840, rope_scaling={
            "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
            "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 0.8})
    yield case("deepseek_v3_latent", config, 96 + 32, DeepseekV3RotaryEmbedding(config),
               layout="interleaved")
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
    config = transformers.Gemma3TextConfig(
        **{**SMALL, "num_hidden_layers": 7}, head_dim=64, sliding_window=16,
        layer_types=(["sliding_attention"] * 5 + ["full_attention"] + ["sliding_attention"]),
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})
    yield case("gemma3", config, 64, Gemma3RotaryEmbedding(config),
               layer_types=["full_attention", "sliding_attention"])
    from transformers.models.smollm3.modeling_smollm3 import SmolLM3RotaryEmbedding
    config = transformers.SmolLM3Config(**SMALL, no_rope_layer_interval=2, pad_token_id=0)
    one = case("smollm3", config, 64, SmolLM3RotaryEmbedding(config))
    one["expected"][0]["layers"] = [i for i, rope in enumerate(config.no_rope_layers) if rope]
    yield one


def main():
    keep = ("rope_parameters", "rope_scaling", "rope_theta", "head_dim", "hidden_size",
            "num_attention_heads", "num_hidden_layers", "max_position_embeddings",
            "original_max_position_embeddings", "partial_rotary_factor", "rotary_pct", "rotary_dim",
            "rotary_emb_base", "layer_types", "no_rope_layers", "no_rope_layer_interval",
            "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "model_type")
    rows = list(cases())
    for row in rows:
        row["config"] = {k: v for k, v in row["config"].items() if k in keep and v is not None}
    text = ",\n".join(json.dumps(row) for row in rows)
    path = pathlib.Path(__file__).with_name("frequencies.json")
    path.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{text}\n]}}\n')
    print(f"{path}: {len(rows)} cases")


if __name__ == "__main__":
    torch.set_default_dtype(torch.float32)
    main()
