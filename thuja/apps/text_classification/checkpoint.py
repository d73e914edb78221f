"""A published encoder of texts as `PretrainedText`: what its config.json says, and its weights by our names."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from thuja.core.errors import SpecError
from thuja.models.pretrained_text import PretrainedText
from thuja.vocabulary import Borrowed

KINDS = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert")
LAYERS = {
    "attention.inputs": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output": ("attention.output.dense",), "attention_norm": ("attention.output.LayerNorm",),
    "first": ("intermediate.dense",), "last": ("output.dense",), "network_norm": ("output.LayerNorm",)}
"""Of BERT and RoBERTa: our name, and theirs, whose matrices lie above each other in ours."""
DISTILLED = {
    "attention.inputs": ("attention.q_lin", "attention.k_lin", "attention.v_lin"), "attention.output": ("attention.out_lin",),
    "attention_norm": ("sa_layer_norm",), "first": ("ffn.lin1",), "last": ("ffn.lin2",), "network_norm": ("output_layer_norm",)}


def settings_of(config: Mapping[str, Any], asked: PretrainedText) -> PretrainedText:
    """The network that a config describes. Raises: SpecError where it is another than can be built here, saying what is other."""
    kind = str(config.get("model_type", ""))
    if kind not in KINDS:
        raise SpecError("parent: config.json: model_type", expected=f"one of {', '.join(KINDS)}", found=repr(kind), fix="Choose another checkpoint.")
    distilled = kind == "distilbert"
    activation, places = config.get("activation" if distilled else "hidden_act", "gelu"), config.get("position_embedding_type", "absolute")
    for name, found, expected in (("hidden_act", activation, "gelu"), ("position_embedding_type", places, "absolute"),
                                  ("is_decoder", config.get("is_decoder", False), False)):
        if found != expected:
            raise SpecError(f"parent: config.json: {name}", expected=repr(expected), found=repr(found), fix="Choose another checkpoint.")
    names = ("dim", "n_layers", "n_heads", "hidden_dim") if distilled else ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    try:
        dim, depth, heads, hidden, tokens, longest = (int(config[name]) for name in (*names, "vocab_size", "max_position_embeddings"))
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError("parent: config.json", expected=f"{', '.join(names)}, vocab_size and max_position_embeddings", found="not all of them",
                        fix="Copy the checkpoint again.") from error
    sizes = {"tokens": tokens, "dim": dim, "depth": depth, "heads": heads, "hidden": hidden, "places": longest - _first_place(kind, config)}
    return asked.model_copy(update=sizes | {"epsilon": float(config.get("layer_norm_eps", 1e-12))})


def tokenizer_of(text: str, tokens: int) -> Borrowed:
    """The tokens of a checkpoint with so many rows in its table. Raises: SpecError where there is no tokenizer.json, or it is none of this network."""
    if not text:
        raise SpecError("parent: tokenizer.json", expected="the rules by which texts are cut into tokens", found="no such file",
                        fix="Copy the whole folder of the checkpoint; an old one without this file gets it from transformers: AutoTokenizer, save_pretrained.")
    try:
        borrowed = Borrowed(tokenizer=text, count=tokens)
    except ValidationError as error:
        raise SpecError("parent: tokenizer.json", expected="tokens of type BPE, WordPiece, Unigram or WordLevel", found="something else",
                        fix="Copy the checkpoint again.") from error
    if borrowed.known > tokens:
        raise SpecError("parent: tokenizer.json", expected=f"at most {tokens} tokens", found=str(borrowed.known), fix="Copy the whole checkpoint.")
    return borrowed


def _first_place(kind: str, config: Mapping[str, Any]) -> int:
    """Rows at the beginning of the table of places that are never used: RoBERTa counts places from behind the number of its padding."""
    return int(config.get("pad_token_id", 1)) + 1 if kind in ("roberta", "xlm-roberta", "camembert") else 0


def weights_of(config: Mapping[str, Any], theirs: Mapping[str, Tensor], settings: PretrainedText) -> dict[str, Tensor]:
    """The weights by the names of `PretrainedTextNet`, head left out. Raises: SpecError for one that is missing or of another shape."""
    kind = str(config["model_type"])
    get = _reader(theirs)
    words, places = get("embeddings.word_embeddings.weight"), get("embeddings.position_embeddings.weight")[_first_place(kind, config) :]
    if kind != "distilbert":
        places = places + get("embeddings.token_type_embeddings.weight")[0]
    stem = "transformer.layer" if kind == "distilbert" else "encoder.layer"
    named = DISTILLED if kind == "distilbert" else LAYERS
    found = {"embedding.words.weight": words, "embedding.places.weight": places}
    found |= {f"embedding.norm.{what}": get(f"embeddings.LayerNorm.{what}") for what in ("weight", "bias")}
    for layer in range(settings.depth):
        for ours, parts in named.items():
            for what in ("weight", "bias"):
                found[f"layers.{layer}.{ours}.{what}"] = torch.cat([get(f"{stem}.{layer}.{part}.{what}") for part in parts])
    if words.shape != (settings.tokens, settings.dim) or places.shape != (settings.places, settings.dim):
        raise SpecError("parent: model.safetensors", expected=f"tables of {settings.tokens} tokens and {settings.places} places",
                        found=f"{len(words)} and {len(places)} rows", fix="Copy the whole folder of the checkpoint.")
    return found


def _reader(theirs: Mapping[str, Tensor]) -> Callable[[str], Tensor]:
    """Looks a weight up with or without the name of the kind before it, and by the names that old checkpoints gave to norms."""
    prefixes = ("", *(f"{name}." for name in ("bert", "roberta", "distilbert", "model")))

    def get(name: str) -> Tensor:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for candidate in (prefix + spelt for spelt in (name, old) for prefix in prefixes):
            if candidate in theirs:
                return theirs[candidate]
        raise SpecError("parent: model.safetensors", expected=f"a weight {name}", found="none of that name", fix="Copy the whole folder of the checkpoint.")

    return get
