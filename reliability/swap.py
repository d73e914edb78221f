"""S6: another artefact is put in service again and again under load. Every request is answered, by one model, and the answer names the one that gave it."""

import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import TEXTS, TOKEN, Answer, Server, Wire, artifact, body, serving

BEARER = f"Authorization: Bearer {TOKEN}\r\n"
CLIENTS = 8
QUIET = 40
"""Requests of each client before the first swap; their p99 is what the rise is measured against."""
CONTROL_SWAPS = 12
NAMES = ("first", "second")
SLOW = "reliability.drain:slow"
Known = dict[str, dict[str, float]]
"""The digest of each model, and its probability for every text."""


def run(trials: int, rng: random.Random) -> Outcome:
    """Swap `trials` times between two models that answer otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        known = {digest: answers for name, shift in zip(NAMES, (0.0, 0.7), strict=True) for digest, answers in [_answers(artifact(root / name, shift))]}
        with serving(root / NAMES[0], token=TOKEN, models=folder) as server:
            failures, before, during = asyncio.run(_swapped(server, trials, rng, known))
        with serving(root / NAMES[0], SLOW, "reliability.swap:mixed", token=TOKEN, models=folder) as server:
            caught = any("gave the answer of another" in line for line in asyncio.run(_swapped(server, CONTROL_SWAPS, rng, known))[0])
    figures: dict[str, float | str] = {"answers while swapping": len(during)}
    if before and during:
        first, second = (sorted(a.seconds for a in answers)[int(0.99 * len(answers))] for answers in (before, during))
        figures |= {"p99 before, ms": round(1000 * first, 2), "p99 while swapping, ms": round(1000 * second, 2)}
    return Outcome(trials, failures, Control("the model taken when a batch runs, not when the request came", 1, int(caught)), figures)


def _answers(path: Path) -> tuple[str, dict[str, float]]:
    """The digest of an artefact, and its probability for every text."""
    from thuja.apps import CODECS
    from thuja.artifact.folder import Artifact
    from thuja.artifact.runtime import Predictor

    before = dict(CODECS)
    CODECS["toy-text"] = "serve_toys:ToyText"
    try:
        predictor = Predictor(Artifact.open(path))
        answers = predictor.predict({"message": list(TEXTS)})["probabilities"]
    finally:
        CODECS.clear()
        CODECS.update(before)
    return predictor.artifact.digest, {text: scores["spam"] for text, scores in zip(TEXTS, answers, strict=True)}


async def _swapped(server: Server, swaps: int, rng: random.Random, known: Known) -> tuple[list[str], list[Answer], list[Answer]]:
    problems: list[str] = []
    before: list[Answer] = []
    during: list[Answer] = []
    over = asyncio.Event()
    quiet = [_client(server.port, random.Random(rng.random()), QUIET, over, known) for _ in range(CLIENTS)]
    for found, answers in await asyncio.gather(*quiet):
        problems, before = problems + found, before + answers
    clients = [asyncio.create_task(_client(server.port, random.Random(rng.random()), None, over, known)) for _ in range(CLIENTS)]
    async with Wire(server.port) as wire:
        for swap in range(swaps):
            name = NAMES[(swap + 1) % 2]
            answer = await wire.ask("POST", "/admin/swap", json.dumps({"name": name}).encode(), BEARER)
            if answer.status != 200:
                problems.append(f"swap {swap} was answered with {answer.status}: {answer.body[:200]!r}")
            await asyncio.sleep(0.01 * rng.random())
    over.set()
    for found, answers in await asyncio.gather(*clients):
        problems, during = problems + found, during + answers
    return problems, before, during


async def _client(port: int, rng: random.Random, requests: int | None, over: asyncio.Event, known: Known) -> tuple[list[str], list[Answer]]:
    """Asks one or three rows at a time, so many times or until it is over, and compares each answer with the one of the model that it names."""
    problems: list[str] = []
    answers: list[Answer] = []
    async with Wire(port) as wire:
        while not over.is_set() and (requests is None or len(answers) < requests):
            texts = rng.sample(TEXTS, rng.choice((1, 3)))
            data = body(texts[0]) if len(texts) == 1 else json.dumps({"rows": [{"message": text} for text in texts]}).encode()
            try:
                answer = await wire.ask("POST", "/predict", data, BEARER)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                return [*problems, f"a request was lost: {error!r}"], answers
            answers.append(answer)
            if problem := _wrong(answer, texts, known):
                problems.append(problem)
    return problems, answers


def _wrong(answer: Answer, texts: Sequence[str], known: Known) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer.status != 200:
        return f"answered with {answer.status}: {answer.body[:200]!r}"
    found = json.loads(answer.body)
    rows = found.get("rows", [found])
    expected = known[answer.headers["thuja-model"]]
    if any(abs(row["probabilities"]["spam"] - expected[text]) > 1e-5 for row, text in zip(rows, texts, strict=True)):
        return f"the model {answer.headers['thuja-model'][:8]} gave the answer of another to {len(texts)} rows"
    return ""


def mixed() -> None:
    """The planted bug: a queue outlives its model, and rows are run by whichever model is in service then."""
    from thuja.server.service import Service

    put = Service._put

    def late(self: Service, predictor: Any) -> None:
        put(self, predictor)
        self.model.batcher._run = lambda columns, program: self.model.predictor.run(columns, program)

    Service._put = late  # type: ignore[method-assign]


HARNESSES = (Harness("S6", "another model put in service under load: no request fails, no answer mixes two models", run, short=15, long=1000),)
