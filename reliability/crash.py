"""A crash at every operation of everything that Thuja writes (D2): what was not synced is lost, kept, reordered or torn; recovery must find the old or the new
generation, whole, what was promised must be there, and a new write on top must work. So must recovery that crashes itself."""

import random
from pathlib import Path
from typing import Any, NamedTuple

from reliability import faults, stores
from reliability.faults import Crash, Recorder, Tree, lay, workshop
from reliability.outcome import Control, Harness, Outcome
from reliability.stores import Scenario
from thuja.core.errors import ThujaError
from thuja.core.storage import DISK, Disk
from thuja.run import Run

BROKEN = (ThujaError, OSError, ValueError, LookupError, AssertionError)
"""What a store that cannot be read answers."""
SUBSETS = 8
"""Random losses tried after each effect."""
TWICE = 40
"""One in so many recoveries is itself recorded and crashed."""


class Explored(NamedTuple):
    """What came of one scenario."""

    states: int
    failures: list[str]
    places: int
    """Effects after which it was crashed."""
    twice: int
    """States left by a crash of the recovery."""


def record(scenario: Scenario, root: Path, disk: type[Recorder] = Recorder) -> Recorder:
    """Carry the steps of a scenario out, a mark after each."""
    root.mkdir()
    scenario.prepare(root)
    recorder = disk(root)
    for step in scenario.steps:
        step(root, recorder)
        recorder.mark()
    return recorder


def generations(scenario: Scenario, recorder: Recorder, folder: Path) -> list[Any]:
    """What is found where nothing crashed: before all, and after each step."""
    found = []
    for number, place in enumerate([0, *recorder.marks]):
        lay(recorder.tree(Crash(place)), folder / f"generation{number}")
        found.append(scenario.look(folder / f"generation{number}"))
    return found


def explore(scenario: Scenario, folder: Path, rng: random.Random, states: int, disk: type[Recorder] = Recorder) -> Explored:
    """Crash a scenario after each of its effects: all that survives, or nothing more than promised, always; of the other ways as many as `states` allows."""
    folder.mkdir()
    recorder = record(scenario, folder / "recorded", disk)
    known = generations(scenario, recorder, folder)
    crashes, mixed = recorder.outright(), recorder.mixed(rng, SUBSETS)
    crashes += rng.sample(mixed, min(len(mixed), max(0, states - len(crashes))))
    failures: list[str] = []
    count = twice = 0
    for crash, tree in recorder.different(crashes):
        count += 1
        place = folder / f"crash{count}"
        lay(tree, place)
        old, new = known[recorder.done(crash)], known[min(recorder.done(crash) + 1, len(known) - 1)]
        wrong = judge(scenario, place, old, new)
        if not wrong and disk is Recorder and rng.randrange(TWICE) == 0:
            more, wrong = crash_again(scenario, tree, folder / f"again{count}", rng)
            twice += more
        if wrong:
            failures.append(f"{scenario.name}, {recorder.words(crash)}: {wrong}")
        DISK.remove(place)
    return Explored(count + twice, failures, len(recorder.effects), twice)


def judge(scenario: Scenario, place: Path, old: Any, new: Any) -> str:
    """What is wrong with a store that broke while `new` was being made of `old`, or nothing. Writes to it."""
    try:
        found = scenario.look(place)
        if not scenario.allowed(old, new, found):
            return f"found {found!r}"
        scenario.again(place, DISK)
        after = scenario.look(place)
    except BROKEN as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "" if after == scenario.then(found) else f"a new write after it left {after!r}"


def crash_again(scenario: Scenario, tree: Tree, folder: Path, rng: random.Random) -> tuple[int, str]:
    """Recover what a crash left, and write, on a disk that crashes as well."""
    folder.mkdir()
    lay(tree, folder / "look")
    found = scenario.look(folder / "look")
    then = scenario.then(found)
    lay(tree, folder / "recorded")
    recorder = Recorder(folder / "recorded")
    scenario.again(folder / "recorded", recorder)
    recorder.mark()
    wrong, count = "", 0
    for crash, left in recorder.different(recorder.outright() + rng.sample(mixed := recorder.mixed(rng, 1), min(len(mixed), 10))):
        count += 1
        lay(left, folder / f"crash{count}")
        reason = judge(scenario, folder / f"crash{count}", then if recorder.done(crash) else found, then)
        wrong = wrong or (reason and f"recovery crashed {recorder.words(crash)}: {reason}")
    DISK.remove(folder)
    return count, wrong


def pruned_first(root: Path, disk: Disk) -> None:
    """Planted bug: the old checkpoints go before the new one is there."""
    for name in DISK.list(Run(root).checkpoints):
        disk.remove(Run(root).checkpoints / name)
    stores.save(5)(root, disk)


def rewritten_in_place(root: Path, disk: Disk) -> None:
    """Planted bug: the log is emptied and written again."""
    path = root / "log.jsonl"
    data = b"".join(path.read_bytes().splitlines(keepends=True)[:3])
    disk.truncate(path, 0)
    disk.append(path, data)


def piecemeal(root: Path, disk: Disk) -> None:
    """Planted bug: the artefact is written file by file in its place."""
    stores.export(2)(root / "made", DISK)
    for file in sorted((root / "made" / "artifact").iterdir()):
        disk.write(root / "artifact" / file.name, file.read_bytes())
    disk.sync_folder(root / "artifact")


def _two_saves(root: Path) -> None:
    for number in (1, 2):
        stores.save(number)(root, DISK)


def _an_export(root: Path) -> None:
    stores.export(1)(root, DISK)
    (root / "made").mkdir()


def planted() -> tuple[tuple[Scenario, type[Recorder]], ...]:
    """The bugs that must be caught."""
    save, export, rewind = stores.checkpoints(), stores.exports(), stores.rewinds()
    return ((save, faults.Unsynced), (save, faults.Nameless), (stores.logs(), faults.Unsynced), (export, faults.Unsynced),
            (save._replace(name="prune first", prepare=_two_saves, steps=(pruned_first,)), Recorder),
            (rewind._replace(name="rewrite in place", steps=(rewritten_in_place,)), Recorder),
            (export._replace(name="file by file", prepare=_an_export, steps=(piecemeal,)), Recorder))


def run(trials: int, rng: random.Random) -> Outcome:
    """About so many states in all, at least two after each effect."""
    scenarios = stores.scenarios()
    failures: list[str] = []
    figures: dict[str, float | str] = {}
    count = places = twice = caught = 0
    with workshop() as folder:
        for number, scenario in enumerate(scenarios):
            found = explore(scenario, folder / f"{number}", rng, trials // len(scenarios))
            figures[f"states of {scenario.name}"] = found.states
            count, places, twice, failures = count + found.states, places + found.places, twice + found.twice, failures + found.failures
        for number, (scenario, disk) in enumerate(bugs := planted()):
            caught += bool(explore(scenario, folder / f"planted{number}", rng, 0, disk).failures)
    figures |= {"operations crashed after": places, "states left by a crash of the recovery": twice}
    control = Control("bytes not synced; names not synced; pruned first; rewritten in place; written file by file", len(bugs), caught)
    return Outcome(count, failures, control, figures)


HARNESSES = (Harness("D2", "a crash at every operation of save, prune, promote, log, export, run and cache: the old or the new generation, whole", run,
                     short=700, long=20_000),)
