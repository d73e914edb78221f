"""From prose to a model that answers: a language model is trained on a text, then tuned on conversations, and asked about what only the prose had told.

    python examples/language_model.py

The prose is made up here and says, in several ways, what forty animals say and where they live. The conversations ask about thirty of them. The other ten are
the test: their answers were never in a conversation, so that what is right there was learned from the prose and carried over by `parent`. Under three minutes
on two CPU cores.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import thuja
from thuja.run import Run
from thuja.spec import parse

SOUNDS = ("moo", "baa", "oink", "woof", "meow", "quack", "neigh", "hoot", "hiss", "roar")
HOMES = ("barn", "field", "forest", "river", "house", "hills", "desert", "sea")
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
ANIMALS, HELD = 40, 10
MODEL = {"kind": "gpt", "dim": 96, "depth": 3, "heads": 4, "hidden": 256, "buckets": 4096, "ngrams": 3}
TASK = {"kind": "language-model", "vocabulary": "characters", "context": 96, "max_tokens": 40, "model": MODEL}


def animals(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Made-up names, each with a sound and a home."""
    names: dict[str, None] = {}
    while len(names) < ANIMALS:
        names["".join(rng.choice(list(letters)) for letters in (CONSONANTS, VOWELS, CONSONANTS, VOWELS, CONSONANTS))] = None
    return [(name, str(rng.choice(SOUNDS)), str(rng.choice(HOMES))) for name in names]


def prose(known: list[tuple[str, str, str]], rng: np.random.Generator, sentences: int) -> str:
    """Sentences that tell what is known, over and over, in several words."""
    said = []
    for _ in range(sentences):
        name, sound, home = known[rng.integers(len(known))]
        ways = (f"the {name} says {sound}.", f"the {name} lives in the {home}.", f"in the {home} lives the {name}.",
                f"one day the {name} left the {home}. the {name} says {sound}.")
        said.append(ways[rng.integers(len(ways))])
    return "\n".join(said) + "\n"


def talk(animal: tuple[str, str, str]) -> list[list[dict[str, str]]]:
    """Two questions and their answers."""
    name, sound, home = animal
    pairs = ((f"what does the {name} say?", f"the {name} says {sound}."), (f"where does the {name} live?", f"the {name} lives in the {home}."))
    return [[{"role": "user", "content": question}, {"role": "assistant", "content": answer}] for question, answer in pairs]


def learned(folder: Path, budget: float, data: dict[str, Any], section: dict[str, Any], parent: Run | None = None) -> Run:
    """A run on rows in memory, going on from another where one is given."""
    plain = {"task": TASK | section, "train": {"budget": budget}, "data": {"split": {"kind": "given", "validation": 0.0}}, "check": {"enabled": False}}
    spec = parse(plain | ({"parent": str(parent.path)} if parent else {}))
    return thuja.train(spec, data=data, root=folder)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--budget", type=float, default=50.0, help="seconds for each of the two runs")
    chosen = arguments.parse_args()
    rng = np.random.default_rng(0)
    known = animals(rng)
    text = prose(known, rng, 12_000)
    questions = {part: {"messages": [row for animal in group for row in talk(animal)]}
                 for part, group in (("train", known[:-HELD]), ("test", known[-HELD:]))}
    with tempfile.TemporaryDirectory() as folder:
        first = learned(Path(folder), chosen.budget, {"train": {"text": [text]}, "test": {"text": [prose(known, rng, 500)]}}, {"rows": "passages"})
        tuned = learned(Path(folder), chosen.budget / 2, questions, {"rows": "messages", "text": "messages", "temperature": 0.0}, first)
        scores = thuja.evaluate(tuned, data=questions)
        right = scores.metrics["response_accuracy"].value
        sys.stdout.write(f"Right to the letter about animals that no conversation was about: {right:.0%} of {scores.count} answers.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
