"""The same seed in another process, folder, hash seed, locale, time zone and number of cores: the same weights and scores, bit for bit? (T3)

The reference is trained and evaluated in a process forked from this one; every trial in a new interpreter, on a copy of the data elsewhere, with an empty
cache, started in another folder. `python -m reliability.reproduce SPEC FOLDER` is that interpreter's program: it prints what must be equal.
"""

import functools
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from reliability import real
from reliability.forks import finish, home
from reliability.outcome import Control, Harness, Outcome
from reliability.work import outcome
from thuja.core import seeds
from thuja.verbs.evaluate import evaluate

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"LC_ALL": "C.UTF-8"}, {"LC_ALL": "tr_TR.UTF-8"}, {"LC_ALL": "de_DE.UTF-8"})
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati")
PLANTED, UNSCORED, FOUND = "planted", "unscored", "found.json"
"""Words on the command line, and the name of the answer."""


def train(spec: Path, folder: Path, *words: str) -> None:
    """Train and, unless told not to, evaluate; the hashes of all that came of it are written to FOUND."""
    if PLANTED in words:
        seeds.mix = lambda seed, *place: hash((seed, *map(str, place))) & (1 << 63) - 1  # in a process of our own
    run = real.learn(spec, folder / "runs", folder / "cache")
    found = outcome(run.path)
    answer = found.files | {"records": found.records}
    if UNSCORED not in words:
        evaluate(run)
        answer["scores"] = real.scores(run)
    (folder / FOUND).write_text(json.dumps(answer), "utf-8")


def elsewhere(spec: Path, folder: Path, rng: random.Random, *words: str) -> dict[str, str]:
    """The same in a new interpreter with another surrounding: what it found. Raises: RuntimeError with what it said when it failed."""
    copied = folder / "somewhere else" / spec.parent.name
    shutil.copytree(spec.parent, copied)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON", "THUJA"))}
    environment |= rng.choice(LOCALES) | {"TZ": rng.choice(ZONES), "PYTHONHASHSEED": str(rng.randrange(1, 1 << 32)), "PYTHONPATH": str(ROOT),
                                          "OMP_NUM_THREADS": "1"}
    cores = rng.choice([1, len(os.sched_getaffinity(0))])
    command = [sys.executable, "-m", "reliability.reproduce", str(copied / spec.name), str(folder), *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600,
                           preexec_fn=functools.partial(only, cores))  # no threads run here
    if ended.returncode:
        raise RuntimeError(f"exit code {ended.returncode}: {ended.stderr[-400:]}")
    return dict(json.loads((folder / FOUND).read_text("utf-8")))


def only(cores: int) -> None:
    """Let this process use so many of its cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def here(spec: Path, folder: Path, *words: str) -> dict[str, str]:
    """What a process forked from this one found."""
    folder.mkdir()
    ended = finish(functools.partial(train, spec, folder, *words), log=str(folder / "said"))
    assert ended.code == 0, (folder / "said").read_text("utf-8")[-400:]
    return dict(json.loads((folder / FOUND).read_text("utf-8")))


def trial(spec: Path, folder: Path, wanted: dict[str, str], rng: random.Random, *words: str) -> str:
    """What differs elsewhere; empty where nothing does."""
    folder.mkdir()
    try:
        found = elsewhere(spec, folder, rng, *words)
    except RuntimeError as error:
        return str(error)
    return ", ".join(name for name in sorted(wanted | found) if wanted.get(name) != found.get(name))


def run(trials: int, rng: random.Random) -> Outcome:
    """The applications in turn. A single trial is of the table, and is not evaluated."""
    words = (UNSCORED,) if trials < len(real.APPLICATIONS) else ()
    failures, wanted = [], {}
    with home() as folder:
        for place in range(trials):
            name = real.APPLICATIONS[place % len(real.APPLICATIONS)]
            if name not in wanted:
                real.warm(name)
                wanted[name] = here(real.spec(name, folder), folder / f"{name}-here", *words)
            found = trial(real.spec(name, folder), folder / f"{place}", wanted[name], rng, *words)
            failures += [f"{name}: {found}"] if found else []
        bugs = max(1, trials // 10)
        spec = real.spec("table", folder)
        wrong = here(spec, folder / "planted-here", PLANTED, UNSCORED)
        seen = [trial(spec, folder / f"planted-{place}", wrong, rng, PLANTED, UNSCORED) for place in range(bugs)]
    control = Control("seeds from Python's hash of strings", bugs, sum(bool(found) and "exit code" not in found for found in seen))
    return Outcome(trials, failures, control, {"applications": len(wanted), "compared": "weights" if words else "weights, log and scores"})


HARNESSES = (Harness("T3", "the same seed in another process, folder, hash seed, locale, time zone: the same weights and scores", run, short=1, long=30),)

if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
