"""How well spoken digits are written down from random weights: alone, in strings, and by a voice never heard.

    python benchmarks/quality_speech.py --data digits --seeds 3

Everything goes through the real task: `prepare`, the codec, the settled choices, the loop. The recordings are fsdd's 3,000 spoken digits of six people.

- `digits`: each recording one digit; takes 0 to 4 of each person and digit are the test (the official split), the other 2,700 train.
- `strings`: 3 to 7 digits of one person end to end, each digit drawn evenly and each of its takes evenly, with 0 to 300 ms of zeros before each and
  after the last, drawn evenly. 4,000 strings of training recordings train, together with the 2,700 recordings alone; 600 strings of test recordings, 100 of
  each person, are the test. Drawn with seed 0, whatever the seed of training.
- `speakers`: each person in turn is the test, with all of their recordings; the other five train.

Hyper-parameters were chosen with `--validation`, which takes 5 to 9 in place of 0 to 4 and leaves the official test alone.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record
import torch
from experiment import encoded, learn, options

from thuja.apps.speech_recognition.task import SpeechRecognition
from thuja.codec import count
from thuja.data.objects import from_object
from thuja.fields import Audio
from thuja.metrics import METRICS, Outputs, Sampling, intervals
from thuja.settings import Train
from thuja.spec import Spec

RATE = 8000
TRAIN_STRINGS, TEST_STRINGS = 4000, 600
GOALS = {"digits": 1.0, "strings": 2.0, "speakers": None}
"""Most words in a hundred that may be wrong."""
Rows = dict[str, list[Any]]


class Take(NamedTuple):
    """One recording of fsdd."""

    digit: str
    speaker: str
    take: int
    path: Path


def takes(root: Path) -> list[Take]:
    """All recordings, by name: digit_speaker_take.wav."""
    paths = sorted((root / "fsdd" / "recordings").glob("*.wav"))
    cut = [path.stem.split("_") for path in paths]
    return [Take(digit, speaker, int(take), path) for (digit, speaker, take), path in zip(cut, paths, strict=True)]


def alone(chosen: list[Take]) -> Rows:
    """A row for each recording."""
    field = Audio(rate=RATE)
    return {"audio": [field.decode(take.path, take.path.name) for take in chosen], "text": [take.digit for take in chosen]}


def strings(chosen: list[Take], number: int, rng: np.random.Generator) -> Rows:
    """Strings of digits, as many of each person."""
    field = Audio(rate=RATE)
    samples = {take.path: field.decode(take.path, take.path.name) for take in chosen}
    people = sorted({take.speaker for take in chosen})
    rows: Rows = {"audio": [], "text": []}
    for place in range(number):
        theirs = [take for take in chosen if take.speaker == people[place % len(people)]]
        digits = rng.integers(10, size=int(rng.integers(3, 8)))
        pieces = [np.zeros(int(rng.integers(0, 0.3 * RATE)), np.float32)]
        for digit in digits:
            those = [take for take in theirs if take.digit == str(digit)]
            pieces += [samples[those[int(rng.integers(len(those)))].path], np.zeros(int(rng.integers(0, 0.3 * RATE)), np.float32)]
        rows["audio"].append(np.concatenate(pieces))
        rows["text"].append(" ".join(map(str, digits)))
    return rows


def parts(root: Path, name: str, fold: int, validation: bool) -> tuple[Rows, Rows]:
    """Training and test rows."""
    every = takes(root)
    if name == "speakers":
        person = sorted({take.speaker for take in every})[fold]
        return alone([take for take in every if take.speaker != person]), alone([take for take in every if take.speaker == person])
    held = range(5, 10) if validation else range(5)
    train = [take for take in every if take.take >= 5 and take.take not in held]
    test = [take for take in every if take.take in held]
    if name == "digits":
        return alone(train), alone(test)
    rng = np.random.default_rng(0)
    made, single, asked = strings(train, TRAIN_STRINGS, rng), alone(train), strings(test, TEST_STRINGS, rng)
    return {key: made[key] + single[key] for key in made}, asked


def experiment(task: SpeechRecognition, train_rows: Rows, test_rows: Rows, train: Train, first: bool = False) -> dict[str, Any]:
    """Train once and write down the test rows."""
    began = time.perf_counter()
    task, codec = task.prepare(from_object(train_rows))
    known, test = encoded(codec, train_rows), encoded(codec, test_rows)
    prepared = time.perf_counter() - began
    learned = learn(Spec(task=task, train=train), codec, known)
    found = task.outputs(codec, test.columns, learned.answers(test.columns))
    result = {"seed": train.seed, **figures(found), "rows": count(test.columns), "train_rows": count(known.columns), "steps": learned.steps,
              "train_s": round(learned.seconds, 1), "prepare_s": round(prepared, 1), "parameters": learned.parameters(),
              "wrong": [[str(a), str(b)] for a, b in zip(found.target, found.arrays["text"], strict=True) if a != b][:20],
              "settled": learned.settled()}
    if first:
        result |= learned.served(test)
    if first and (other := task.baseline(codec, known, test, 0)) is not None:
        result |= {"baseline": other.name, "baseline_figures": figures(found._replace(arrays=other.outputs))}
    return result


def figures(outputs: Outputs) -> dict[str, Any]:
    """Word error rate with its interval, and recordings written down without any error, in percent."""
    names = ("word_error_rate", "exact_match")
    found = intervals([METRICS[name] for name in names], outputs, Sampling(0.95, 1000, 0))
    return {name: {key: round(100 * value, 3) for key, value in (("value", e.value), ("low", e.low), ("high", e.high)) if value is not None}
            for name, e in ((name, found[name]) for name in names)}


def main() -> None:
    arguments = options(__doc__)
    arguments.add_argument("--data", choices=GOALS, required=True)
    arguments.add_argument("--folds", type=int, default=6, help="of speakers: how many of the six are held out in turn")
    chosen = arguments.parse_args()
    task = SpeechRecognition(**{"rate": RATE, **chosen.task})
    load, runs = os.getloadavg()[0], []
    for fold in range(chosen.folds if chosen.data == "speakers" else 1):
        train_rows, test_rows = parts(chosen.root, chosen.data, fold, chosen.validation)
        for seed in range(chosen.seeds):
            run = experiment(task, train_rows, test_rows, Train(**{**chosen.train, "seed": seed}), first=seed == 0)
            settled = run.pop("settled")
            runs.append({"fold": fold, **run})
            print(json.dumps(runs[-1]), flush=True)
    rates, matches = ([run[name]["value"] for run in runs] for name in ("word_error_rate", "exact_match"))
    result = {"data": chosen.data, "goal": GOALS[chosen.data], "word_error_rate": round(statistics.fmean(rates), 3), "worst": max(rates),
              "exact_match": round(statistics.fmean(matches), 3), "longest_train_s": max(run["train_s"] for run in runs)}
    print(json.dumps(result))
    if not chosen.validation:
        print(record.save(f"speech_{chosen.data}", {**result, "runs": runs, "settled": settled, "threads": torch.get_num_threads()}, load))


if __name__ == "__main__":
    main()
