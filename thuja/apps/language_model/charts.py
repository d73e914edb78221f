"""Pictures of a language model for the report: how surprise falls with what has been read, and a sample of what it says."""

import numpy as np
import torch

from thuja.apps.language_model.codec import LanguageModelCodec
from thuja.apps.language_model.generation import Net, surprise
from thuja.chart import Chart, Line
from thuja.codec import last, rectangular, repeated, take
from thuja.task import Part, Program

ROWS = 64
"""Test rows that the first picture is made from."""
POINTS = 32
LINE = 48
"""Tokens in a line of the sample."""
MOST = 5.0
"""Nats that are drawn darkest."""


def by_place(net: Net, part: Part, context: int) -> Chart:
    """Nats a token by the place in the row: with more before it, a token is guessed better."""
    rows = len(part.columns["text"].offsets) - 1  # type: ignore[union-attr]  # ragged
    index = np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64))
    arrays = rectangular(take({name: part.columns[name] for name in ("text", "scored")}, index))
    ids, scored = (torch.from_numpy(arrays[name]) for name in ("text", "scored"))
    with torch.inference_mode():
        pieces = [surprise(net, a, b, context)[0].numpy() for a, b in zip(torch.split(ids, 8), torch.split(scored, 8), strict=True)]
    nats, counts = np.concatenate(pieces), (arrays["scored"][:, 1:] != 0)
    edges = np.unique(np.geomspace(1, nats.shape[1] + 1, POINTS).astype(np.int64)) - 1
    sums = np.add.reduceat(nats.sum(0), edges[:-1]), np.add.reduceat(counts.sum(0), edges[:-1])
    there = sums[1] > 0
    line = Line("test rows", ((edges[:-1] + edges[1:] + 1) / 2)[there], (sums[0][there] / sums[1][there]))
    return Chart("Surprise by place", "How many nats a token costs, by how many tokens stand before it in the row.", "tokens before", "nats a token",
                 lines=(line,))


def sample(programs: dict[str, Program], net: Net, codec: LanguageModelCodec, part: Part) -> tuple[Chart, ...]:
    """What the model says after the prompt of the last test row, a shade for how unlikely it found each token that it drew."""
    source = part.source
    rows = source.take(np.array([len(source) - 1]))
    prompt, answer = _said(programs, rectangular(codec.encode({name: values for name, values in rows.items() if name != "text"})))
    if not len(answer):
        return ()
    ids = torch.from_numpy(np.concatenate([prompt, answer]))[None]
    with torch.inference_mode():
        nats = surprise(net, ids, torch.ones_like(ids), codec.context)[0][0].numpy()[-len(answer) :]
    lines = [answer[start : start + LINE] for start in range(0, len(answer), LINE)]
    shades = np.zeros((len(lines), min(LINE, len(answer))))
    for row, line in enumerate(lines):
        shades[row, : len(line)] = np.clip(nats[row * LINE : row * LINE + len(line)] / MOST, 0, 1)
    texts = codec.vocabulary.decode([line.tolist() for line in lines], whole=True)
    asked = codec.vocabulary.decode([[i for i in prompt.tolist() if i < codec.vocabulary.size][-LINE:]])[0]
    return (Chart("A sample", f"After {asked!r} the model says: {''.join(texts)!r}. The darker a token, the less likely the model found it.", "token", "line",
                  kind="shades", shades=shades, rows=[text.replace("\n", "↵") for text in texts], columns=[""] * shades.shape[1]),)


def _said(programs: dict[str, Program], columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of a prompt, and of what is said after it; one row."""
    with torch.inference_mode():
        state = _run(programs["predict"], columns)
        state = last(repeated(state, lambda now: _run(programs["step"], now)))
    return columns["prompt"][0], state["text"][0, : int(state["tokens"][0])]


def _run(program: Program, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = program.module(*[torch.from_numpy(arrays[name]) for name in program.inputs])
    return {name: output.numpy() for name, output in zip(program.outputs, outputs, strict=True)}


