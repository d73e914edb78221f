"""What depends on the machine and not on the data, measured before step one where a run is long enough to pay for it: the number of threads, the precision
of activations, and whether the network is compiled.

Each is settled by a plain rule first (`thuja.spec`). Here its other values race against that one with throw-away steps of the real task, and another is taken
only where it is clearly faster. The figures are the reason, the value goes into the settled spec: a continued run measures nothing. A typed value is never
overruled. The batch size is not decided here: it is a matter of learning, not of speed.
"""

import shutil
from typing import Any

from thuja.settings import Train
from thuja.task import Choice
from thuja.training.loop import begin
from thuja.training.timing import Bench, Stepper, race

DECIDED = ("threads", "precision", "compile")
LONG_S, VERY_LONG_S = 30.0, 600.0
"""Expected seconds of a run that pay for racing threads and precision, and for compiling, which takes some 20 s each time a run starts or goes on."""
LEAST_STEPS = {"threads": 100, "precision": 1000, "compile": 1000}
"""In a run of fewer steps than this a race is not worth its own ten or so. Threads are raced in shorter ones too: where another program is busy, all cores may
be several times slower than one, since OpenMP's threads wait for each other at every layer."""
SHARE, LONGEST = 0.01, 4.0
"""One race takes this share of the expected run, and no more seconds than this."""
CLEARLY = 0.95
"""Share of the plain value's time that another may take at most to be taken."""


def decide(bench: Bench, asked: Train, settled: Train) -> dict[str, Choice]:
    """`train.threads`, `train.precision` and `train.compile`, as far as they were blank in `asked` and measuring pays; of the others nothing is said.

    `settled` holds the plain values. On an accelerator they stay.
    """
    blank = [name for name in DECIDED if getattr(asked, name) == "auto"] if settled.device == "cpu" else []
    plain = settled.model_copy(update={"compile": False})
    seconds, number = _outlook(bench, plain.model_copy(update={"threads": 1}) if "threads" in blank else plain) if blank else (0.0, 0.0)
    worth = [name for name in blank if seconds >= LONG_S and number >= LEAST_STEPS[name]]
    chosen: dict[str, Choice] = {}
    for name, others in (("threads", fewer(settled.threads)), ("precision", ["bfloat16"])):
        if name in worth and others:
            choice = _raced(bench, plain, name, others, min(SHARE * seconds, LONGEST))
            chosen[f"train.{name}"] = choice
            plain = plain.model_copy(update={name: choice.value})
    if "compile" in worth and seconds >= VERY_LONG_S and has_compiler():
        chosen["train.compile"] = _compiled(bench, plain, seconds)
    return chosen


def _outlook(bench: Bench, plain: Train) -> tuple[float, float]:
    """Seconds and steps of the whole run, about; both 0 where it is too short for any race, which is mostly seen without making a step.

    Timed on one thread where their number is open, because one is never slower than all by more than their number, while the reverse has no bound.
    """
    if plain.steps == "auto":
        assert plain.budget is not None, "settling leaves the steps open for a budget only"
        if plain.budget < LONG_S:
            return 0.0, 0.0
    elif plain.steps < min(LEAST_STEPS.values()):
        return 0.0, 0.0
    stepper = Stepper(bench, begin(bench.task, bench.codec, plain), plain)
    step_s = min(stepper.warm(), stepper.window(1))
    if plain.steps == "auto":
        return plain.budget or 0.0, (plain.budget or 0.0) / max(step_s, 1e-6)
    return plain.steps * step_s, plain.steps


def fewer(threads: Any) -> list[int]:
    """Numbers of threads worth trying besides all of them.

    >>> fewer(8), fewer(2), fewer(1)
    ([4, 1], [1], [])
    """
    return sorted({threads // 2, 1} - {0, threads}, reverse=True)


def has_compiler() -> bool:
    """Whether there is a C++ compiler, which torch.compile needs on a CPU."""
    return bool(shutil.which("g++") or shutil.which("clang++"))


def _raced(bench: Bench, plain: Train, name: str, others: list[Any], limit: float) -> Choice:
    """The fastest value of a setting, with the time of each; the plain one unless another is clearly faster."""
    state = begin(bench.task, bench.codec, plain)  # one for all: nobody wants what is learned
    values = {spoken(name, value): value for value in (getattr(plain, name), *others)}
    steppers = {words: Stepper(bench, state, plain.model_copy(update={name: value})) for words, value in values.items()}
    fastest = race(steppers, limit, bench.clock)
    first = next(iter(values))
    best = min(fastest, key=lambda words: fastest[words])
    won = best if fastest[best] < CLEARLY * fastest[first] else first
    return Choice(values[won], f"measured, ms a step: {', '.join(f'{words} {1000 * s:.3g}' for words, s in fastest.items())}")


def _compiled(bench: Bench, plain: Train, expected: float) -> Choice:
    """Whether compiling the network wins back the time it takes, `expected` seconds being the whole run's."""
    compiled = plain.model_copy(update={"compile": True})
    first, second = (Stepper(bench, begin(bench.task, bench.codec, train), train) for train in (plain, compiled))
    started = bench.clock()
    try:
        step_s = second.warm()
    except RuntimeError as error:  # what torch raises when its compiler fails, in several classes
        return Choice(False, f"compiling failed: {str(error).splitlines()[0]}")
    cost = max(0.0, bench.clock() - started - 2 * step_s)
    fastest = race({"as it is": first, "compiled": second}, LONGEST, bench.clock)
    ratio = fastest["compiled"] / fastest["as it is"]
    pays = ratio < CLEARLY and expected * (1 - ratio) > cost
    figures = ", ".join(f"{words} {1000 * s:.3g}" for words, s in fastest.items())
    return Choice(pays, f"measured, ms a step: {figures}; compiling took {cost:.3g} s")


def spoken(name: str, value: Any) -> str:
    """A value in words: "2 threads", "float32"."""
    return f"{value} thread{'s' if value > 1 else ''}" if name == "threads" else str(value)
