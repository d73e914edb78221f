"""Walk one sentence through a translator and write down what happens: docs/guide/transformer.md and its pictures. Every number on the page is computed here.

    PYTHONPATH=. python tools/walk_transformer.py           # about a minute
    PYTHONPATH=. python tools/walk_transformer.py --steps 20 --out /tmp/page    # a quick look; nothing is learned

The network is that of examples/translation.py, trained on its made-up German.
"""

# ruff: noqa: E501 - the lines of the page are its own

import argparse
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from examples.translation import sentences, task
from thuja.apps.translation.codec import TranslationCodec
from thuja.apps.translation.pictures import pieces, sharpest, weights
from thuja.apps.translation.programs import Choice
from thuja.blocks.decoder import causal_mask
from thuja.codec import Ragged, repeated
from thuja.data.objects import from_object
from thuja.models.translator import TranslatorNet
from thuja.settings import AdamW, Muon, Train
from thuja.training.look import run
from thuja.training.loop import begin, steps
from thuja.vocabulary import BEGIN

SENTENCE = "today a small woman paints the old tree."
CELL, LABEL = 22, 90
Page = tuple[str, dict[str, str]]
"""The text, and the pictures by name."""


def trained(count: int) -> tuple[TranslatorNet, TranslationCodec, dict[str, object]]:
    """The network after `count` updates, its codec, and its programs."""
    rows = sentences(4000)
    made, codec = task().prepare(from_object(rows))
    train = Train(steps=count, batch=32, optimizer=Muon(learning_rate=0.03, adamw=AdamW(learning_rate=1e-2)), device="cpu")
    state = begin(made, codec, train)
    for _ in steps(made, state, codec.encode(rows), train):
        pass
    model = state.best_model.eval()
    return model.net, codec, made.programs(model, codec)  # type: ignore[return-value]


def shades(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> str:
    """An SVG table of squares, each as dark as its value from 0 to 1, that reads on light and dark."""
    width, height = LABEL + CELL * values.shape[1] + 4, LABEL + CELL * values.shape[0] + 4
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">']
    for i, name in enumerate(rows):
        parts.append(f'<text x="{LABEL - 6}" y="{LABEL + CELL * i + 15}" text-anchor="end" fill="#808080">{html.escape(name)}</text>')
    for i, name in enumerate(columns):
        x = LABEL + CELL * i + 15
        parts.append(f'<text transform="rotate(-90 {x} {LABEL - 6})" x="{x}" y="{LABEL - 6}" fill="#808080">{html.escape(name)}</text>')
    for (i, j), value in np.ndenumerate(values):
        parts.append(f'<rect x="{LABEL + CELL * j}" y="{LABEL + CELL * i}" width="{CELL - 1}" height="{CELL - 1}" fill="#3465a4" '
                     f'fill-opacity="{max(0.04, round(float(value), 2))}"/>')
    return "\n".join([*parts, "</svg>\n"])


def shape(tensor: Tensor) -> str:
    """[11, 64]"""
    return f"`{list(tensor.shape)}`"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


@torch.no_grad()
def reading(net: TranslatorNet, codec: TranslationCodec, ids: np.ndarray) -> Page:
    """The encoder's half."""
    names, source = pieces(codec, ids), torch.from_numpy(ids)[None]
    vectors = net.table(source) * net.settings.dim**0.5
    x = net.embed(source, torch.arange(len(ids)))
    layer, s = net.encoder.layers[0], net.settings
    attention = layer.attention
    query, key, _ = attention.inputs(layer.attention_norm(x)).unflatten(-1, (3, s.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    turned, turned_key = attention.rotary(query), attention.rotary(key)
    scores = turned @ turned_key.mT * (s.dim // s.heads) ** -0.5
    shares = scores.softmax(-1)[0]
    added = layer.attention(layer.attention_norm(x))
    after = layer(x)
    encoded = net.encoder(x, source != 0)
    head = int((-(shares * shares.clamp_min(1e-9).log()).sum(-1).mean(-1)).argmin())
    text = f"""## 1. Tokens
> {SENTENCE}

The vocabulary has {codec.vocabulary.size} ids: padding, begin, end, unknown, the 256 bytes, and the pairs that were joined most often. The sentence is {len(ids)} of them:

{table(["place", *map(str, range(len(ids)))], [["token", *(f"`{name}`" for name in names)], ["id", *ids.tolist()]])}

A space belongs to the word after it. Padding (0) fills shorter sentences of a batch, and no place ever reads from it.

## 2. Vectors, and where they stand
Each id takes its row of one table, `{list(net.table.weight.shape)}`: {shape(vectors[0])}. The same table is used for both languages and for the output.

Attention alone sees a set, not an order. So sines and cosines of the place are added, fast ones at the left, slow ones at the right (half of them shown):

![Sines of the place: each row is a place, each column a frequency](transformer/places.svg)

## 3. Self-attention: each place reads from all places
Every vector is turned into a query (what am I looking for?), a key (what am I?) and a value (what do I say?), for each of {s.heads} heads: {shape(query[0])} each, [heads, places, numbers]. A query and a key that match give a large product. Here is one of them, and what becomes of it, from `{names[2]}` to `{names[3]}` in head {head}:

{table(["product", f"divided by the root of {s.dim // s.heads}", "after softmax over the row"],
       [[f"{float((turned @ turned_key.mT)[0, head, 2, 3]):.2f}", f"{float(scores[0, head, 2, 3]):.2f}", f"{float(shares[head, 2, 3]):.2f}"]])}

All shares of that head, {shape(shares[head])}; each row sums to 1:

![Who reads from whom in one head of the first layer](transformer/self.svg)

The values are averaged with these shares, the heads are laid side by side and mixed by one matrix: {shape(added[0])}. That is *added* to what was there (the residual stream), so that a layer
that has nothing to say changes nothing. In this layer the vectors have length {float(x.norm(dim=-1).mean()):.1f} and what attention adds has length {float(added.norm(dim=-1).mean()):.1f}.

## 4. The network on each place
Each vector by itself goes through two matrices, {s.dim} → {s.hidden} → {s.dim}, with GELU between. After both branches the first layer has turned its input by
{float(torch.rad2deg(torch.arccos(torch.cosine_similarity(x, after, dim=-1).clamp(-1, 1)).mean())):.0f} degrees on average. After {s.depth} layers the sentence is {shape(encoded[0])}: one vector a token, each knowing of the others.
"""
    angle = torch.arange(len(ids))[:, None] * net.rate
    return text, {"places": shades((angle.sin().numpy() + 1) / 2, names, [""] * len(net.rate)), "self": shades(shares[head].numpy(), names, names)}


@torch.no_grad()
def writing(net: TranslatorNet, codec: TranslationCodec, ids: np.ndarray, programs: dict[str, object]) -> Page:
    """The decoder's half."""
    states = list(repeated(run(programs["predict"], {"en": ids[None]}), lambda state: run(programs["step"], state)))  # type: ignore[arg-type]
    translation = codec.texts(states[-1]["tokens"])[0]
    column = codec.encode({"en": [SENTENCE], "de": [translation or "."]})["de"]
    assert isinstance(column, Ragged)
    target = column.values
    written = pieces(codec, target)
    before = torch.from_numpy(np.append(BEGIN, target[:-1]))[None]
    decoded = net(torch.from_numpy(ids)[None], before)
    chances = Choice(net)(decoded).exp()[0]
    place = min(2, len(target) - 1)
    top = chances[place].topk(5)
    likely = [[f"`{pieces(codec, np.array([int(i)]))[0]}`", f"{float(p):.1%}"] for p, i in zip(top.values, top.indices, strict=True)]
    cross = weights(net, ids, target)
    beams = [[step + 1, *(f"{text} ({score:.2f})" if text else "" for text, score in zip(codec.texts(state["_tokens"][0]), state["_scores"][0], strict=True))]
             for step, state in enumerate(states[:5])]
    mask = causal_mask(len(target)).numpy()
    text = f"""## 5. Writing: only what is already there may be read
The decoder starts from a begin token and writes one token after the other. In training the whole translation is known, and all its places are computed at once; a mask keeps each from seeing what it
is to predict: `{list(mask.shape)}`, {int(mask.sum())} of {mask.size} pairs allowed.

![The causal mask: each row may read from the columns up to itself](transformer/mask.svg)

## 6. Cross-attention: looking at the source
Its queries come from the translation, its keys and values from the encoder's {len(ids)} vectors: {shape(torch.from_numpy(cross))}, [layers, heads, translation, source]. They are computed once a
sentence. The sharpest layer, its heads averaged:

![What each token of the translation looked at in the source](transformer/cross.svg)

The German verb is in second place, wherever the English one stands: the dark squares do not run down the diagonal.

## 7. From a vector to a word
The last vector of each place, {shape(decoded[0])}, is compared with every row of the table: {shape(chances)} after softmax. After `{"".join(written[:place]).strip()}` come:

{table(["token", "probability"], likely)}

## 8. Search
Taking the likeliest token each time can lead astray, so {states[0]["_tokens"].shape[1]} hypotheses are followed at once. The first steps, with the sum of the logarithms of the probabilities:

{table(["step", *(f"beam {i + 1}" for i in range(states[0]["_tokens"].shape[1]))], beams)}

After {len(states)} steps the best finished one is
> {translation}

with {float(states[-1]["log_probability"][0]):.3f} a token. What was computed for earlier tokens is kept: the caches have grown from {list(states[0]["_keys"].shape)} to {list(states[-1]["_keys"].shape)}
([rows, beams, layers, heads, places, numbers]), and a step costs one place.
"""
    return text, {"mask": shades(mask.astype(float) * 0.8, written, written), "cross": shades(sharpest(cross), written, pieces(codec, ids))}


def page(count: int) -> Page:
    """The whole page and its pictures."""
    net, codec, programs = trained(count)
    encoded = codec.encode({"en": [SENTENCE]})["en"]
    assert isinstance(encoded, Ragged)
    ids = encoded.values
    first, pictures = reading(net, codec, ids)
    second, more = writing(net, codec, ids, programs)
    sizes = [["the table of tokens", f"{net.table.weight.numel():,}"], ["encoder", f"{sum(p.numel() for p in net.encoder.parameters()):,}"],
             ["decoder", f"{sum(p.numel() for p in net.decoder.parameters()):,}"]]
    text = f"""<!-- Written by tools/walk_transformer.py; change that instead. -->
# One sentence through the transformer
A sentence goes in, its translation comes out. This page follows the numbers on their way, in the network of `examples/translation.py` after {count} updates on 4,000 made-up pairs. The code is short:
[attention](../../thuja/blocks/attention.py), [encoder](../../thuja/blocks/transformer.py), [decoder](../../thuja/blocks/decoder.py), [the whole](../../thuja/models/translator.py),
[search](../../thuja/blocks/search.py). Shapes are without the batch.

{first}
{second}
## Where the parameters are
{table(["part", "numbers"], sizes)}
"""
    return text, pictures | more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "guide")
    arguments = parser.parse_args()
    text, pictures = page(arguments.steps)
    (arguments.out / "transformer").mkdir(parents=True, exist_ok=True)
    (arguments.out / "transformer.md").write_text(text, "utf-8")
    for name, svg in pictures.items():
        (arguments.out / "transformer" / f"{name}.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
