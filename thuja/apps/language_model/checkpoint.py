"""A published decoder as our own (`thuja.models.gpt`), where it is the same network: Llama and what is built like it.

What differs is refused with the reason rather than approximated. Keys and values that several heads share are written out once for each head: the same
numbers come out, and more is learned apart when tuning goes on.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from thuja.core.errors import SpecError
from thuja.models.gpt import GPT
from thuja.vocabulary import Borrowed

KINDS = ("llama", "mistral", "qwen3")
FIX = "Choose another checkpoint."


def settings_of(config: Mapping[str, Any], context: int, dropout: float) -> GPT:
    """The network that a config describes. Raises: SpecError where ours cannot be it."""
    kind = str(config.get("model_type", ""))
    if kind not in KINDS:
        raise SpecError("parent: config.json: model_type", expected=f"one of {', '.join(KINDS)}", found=repr(kind), fix=FIX)
    try:
        dim, depth, heads, hidden = (int(config[name]) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"))
        longest = int(config["max_position_embeddings"])
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError("parent: config.json", expected="hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings",
                        found="not all of them", fix="Copy the whole checkpoint.") from error
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    turning = str(rope.get("rope_type", rope.get("type", "default")))
    same: list[tuple[str, object, object]] = [
        ("hidden_act", config.get("hidden_act", "silu"), "silu"), ("attention_bias", bool(config.get("attention_bias", False)), False),
        ("mlp_bias", bool(config.get("mlp_bias", False)), False), ("head_dim", config.get("head_dim") or dim // heads, dim // heads),
        ("rope_type", turning, "default"), ("partial_rotary_factor", float(rope.get("partial_rotary_factor", 1.0)), 1.0)]
    for name, found, expected in same:
        if found != expected:
            raise SpecError(f"parent: config.json: {name}", expected=repr(expected), found=repr(found), fix=FIX)
    seen = min(longest, int(config.get("sliding_window") or longest) if config.get("use_sliding_window", kind == "mistral") else longest)
    if context > seen:
        raise SpecError("task.context", expected=f"at most {seen}, what the checkpoint has learned to see", found=str(context), fix="Make it smaller.")
    base = float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))
    try:
        return GPT(dim=dim, depth=depth, heads=heads, hidden=hidden, activation="swiglu", tied=bool(config.get("tie_word_embeddings", False)), dropout=dropout,
                   ngrams=1, buckets=0, query_norm=kind == "qwen3", input_norm=False, rope_base=base, epsilon=float(config.get("rms_norm_eps", 1e-6)))
    except ValidationError as error:
        raise SpecError("parent: config.json", expected="an even number of numbers a head", found=f"{dim} for {heads} heads", fix=FIX) from error


def vocabulary_of(config: Mapping[str, Any], text: str) -> Borrowed:
    """The tokens of a checkpoint. Raises: SpecError where there is no tokenizer.json, or it is none of this network."""
    if not text:
        raise SpecError("parent: tokenizer.json", expected="the rules by which texts are cut into tokens", found="no such file",
                        fix="Copy the whole checkpoint; one without this file gets it from transformers: AutoTokenizer, save_pretrained.")
    begin, end, unknown = (_first(config.get(name)) for name in ("bos_token_id", "eos_token_id", "unk_token_id"))
    count = int(config.get("vocab_size", 0))
    try:
        found = Borrowed(tokenizer=text, count=count, begin=begin, end=end, unknown=unknown)
    except ValidationError as error:
        raise SpecError("parent: tokenizer.json", expected="tokens of type BPE, WordPiece, Unigram or WordLevel", found="something else",
                        fix="Copy the checkpoint again.") from error
    if found.known > count:
        raise SpecError("parent: tokenizer.json", expected=f"at most {count} tokens", found=str(found.known), fix="Copy the whole checkpoint.")
    return found


def _first(value: Any) -> int | None:
    """A number, or the first of several."""
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None else int(value)


def weights_of(config: Mapping[str, Any], theirs: Mapping[str, Tensor], net: GPT, vocabulary: Borrowed, tokens: int) -> dict[str, Tensor]:
    """The weights by the names of `GPTNet` with so many tokens. Raises: SpecError for one that is missing, or that there is no place for."""
    left = {name.removeprefix("model."): value for name, value in theirs.items() if not name.endswith("rotary_emb.inv_freq")}

    def get(name: str) -> Tensor:
        if name not in left:
            raise SpecError("parent: model.safetensors", expected=f"a weight {name}", found="none of that name", fix="Copy the whole checkpoint.")
        return left.pop(name)

    table = get("embed_tokens.weight")
    if len(table) != vocabulary.count or table.shape[1] != net.dim:
        raise SpecError("parent: model.safetensors", expected=f"a table of {vocabulary.count} tokens of {net.dim} numbers",
                        found=f"{len(table)} of {table.shape[1]}", fix="Copy the whole checkpoint.")
    head = table if net.tied else get("lm_head.weight")
    left.pop("lm_head.weight", None)
    found = {"embedding.table.weight": _placed(table, vocabulary, tokens), "head.weight": _placed(head, vocabulary, tokens)}
    found["norm_out.gain"] = get("norm.weight")
    shared = net.heads // int(config.get("num_key_value_heads") or net.heads)
    for layer in range(net.depth):
        a, b = f"layers.{layer}.", f"layers.{layer}.self_attn."
        keys, values = (_for_each_head(get(f"{b}{what}_proj.weight"), shared, net.dim // net.heads) for what in "kv")
        found |= {f"{a}attention_norm.gain": get(f"{a}input_layernorm.weight"), f"{a}network_norm.gain": get(f"{a}post_attention_layernorm.weight"),
                  f"{a}attention.inputs.weight": torch.cat([get(f"{b}q_proj.weight"), keys, values]), f"{a}attention.output.weight": get(f"{b}o_proj.weight"),
                  f"{a}network.first.weight": torch.cat([get(f"{a}mlp.gate_proj.weight"), get(f"{a}mlp.up_proj.weight")]),
                  f"{a}network.last.weight": get(f"{a}mlp.down_proj.weight")}
        if net.query_norm:
            found |= {f"{a}attention.query_norm.gain": get(f"{b}q_norm.weight"), f"{a}attention.key_norm.gain": get(f"{b}k_norm.weight")}
    if left:
        raise SpecError("parent: model.safetensors", expected="only weights that this network has", found=repr(sorted(left)[0]), fix=FIX)
    return found


def _placed(table: Tensor, vocabulary: Borrowed, tokens: int) -> Tensor:
    """Their rows under our numbers; those of ours that they have not get the mean of all."""
    rows = table.mean(0, keepdim=True).repeat(tokens, 1)
    numbers = torch.from_numpy(vocabulary.rows)
    known = torch.nonzero(numbers >= 0)[:, 0]
    rows[known] = table[numbers[known]]
    return rows


def _for_each_head(weight: Tensor, shared: int, size: int) -> Tensor:
    """The matrix of keys or values that `shared` heads in a row have in common, once for each of them."""
    return weight.reshape(-1, size, weight.shape[1]).repeat_interleave(shared, 0).flatten(0, 1)
