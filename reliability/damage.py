"""Files that a bad disk has changed (D4): cut short, one bit flipped, 4 KiB zeroed, in everything that Thuja keeps.

Each time it must be noticed before use, and what can be put right must be: the checkpoint before is taken, the cache is made again; what cannot is refused by
the name of the file.

A log that is damaged in its last addition cannot be told from one that a power cut has torn: it loses that and says so. One that is cut between two records
is an older log, in which nothing is wrong; such a cut is no trial.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError

from reliability import stores
from reliability.faults import PAGE, Tree, lay, workshop
from reliability.outcome import Control, Harness, Outcome
from reliability.work import RingsCodec
from thuja.artifact.folder import Artifact
from thuja.core import log
from thuja.core.digest import of_file
from thuja.core.errors import ArtifactError, ThujaError
from thuja.core.storage import DISK
from thuja.data.cache import file_digest
from thuja.data.columns import encoded
from thuja.data.table import open_table
from thuja.run import LOG, Run
from thuja.settings import Data
from thuja.training import checkpoint

WIDTH = 48
PLANTED = 60
KINDS = ("cut short", "a bit flipped", "4 KiB zeroed")


class Store(NamedTuple):
    """Something kept, and what must happen when a file of it is damaged."""

    name: str
    tree: Tree
    files: tuple[str, ...]
    """Those that are damaged."""
    check: Callable[[Path, Path, bytes], str]
    """Read the store in a folder in which a file (the second path) had held these bytes; what is wrong, or nothing."""


def mutated(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Damaged bytes; the same ones where nothing would change (zeros zeroed)."""
    if kind == "cut short":
        return data[: rng.randrange(len(data))]
    place = rng.randrange(len(data))
    if kind == "a bit flipped":
        return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    start = place // PAGE * PAGE
    return data[:start] + bytes(len(data[start : start + PAGE])) + data[start + PAGE :]


def read(root: Path) -> Tree:
    """A folder as it is on disk."""
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}


def checkpoints(root: Path) -> Store:
    """Two checkpoints, of which the newer is damaged."""
    for number in (1, 2):
        stores.save(number, None, WIDTH)(root, DISK)
    tree = read(root)
    return Store("checkpoint", tree, tuple(name for name, data in tree.items() if data is not None and "00000002" in name), fallen_back)


def fallen_back(root: Path, path: Path, _: bytes) -> str:
    """Training goes on from the older one and says so; evaluation refuses the newer one."""
    try:
        checkpoint.load_model(path.parent, stores.trained(stores.EVER, WIDTH).best_model)
        return "evaluation took it"
    except ArtifactError as error:
        if error.where != str(path):
            return f"evaluation named another file: {error}"
    state = stores.trained(stores.EVER, WIDTH)
    found = checkpoint.restore(Run(root).checkpoints, state)
    wanted = stores.trained(1, WIDTH)
    if found is None or state.step != 1 or len(found.damaged) != 1 or str(path) not in found.damaged[0]:
        return f"at step {state.step}, told {found and found.damaged}"
    same = all(a.equal(b) for a, b in zip(state.model.state_dict().values(), wanted.model.state_dict().values(), strict=True))
    return "" if same else "the older weights are others"


def artifacts(root: Path) -> Store:
    """An artefact."""
    stores.export(1, 20_000)(root, DISK)
    tree = read(root)
    return Store("artefact", tree, tuple(name for name, data in tree.items() if data is not None), refused_artifact)


def refused_artifact(root: Path, path: Path, _: bytes) -> str:
    """It is not opened, and the damaged file is named."""
    try:
        Artifact.open(root / "artifact", stores.KINDS)
    except ArtifactError as error:
        return "" if error.where == str(path) else f"another file named: {error}"
    return "opened"


def column_cache(root: Path) -> Store:
    """Encoded columns."""
    stores.cache(root, DISK)
    tree = {name: data for name, data in read(root).items() if not name.endswith(".lock")}
    return Store("column cache", tree, tuple(name for name, data in tree.items() if data is not None), made_again)


def made_again(root: Path, path: Path, before: bytes) -> str:
    """It is made again, equal and said so."""
    found = encoded(stores.rows(), RingsCodec(), root, 0.0)
    if len(found.notes) != 1 or str(path.parent) not in found.notes[0]:
        return f"not told: {found.notes}"
    return "" if path.read_bytes() == before else "made again otherwise"


def table_cache(root: Path) -> Store:
    """A converted table."""
    (root / "rows.csv").write_text("a,b\n" + "".join(f"{n},word {n % 7}\n" for n in range(1000)), "utf-8")
    with cache_at(root):
        open_table(root / "rows.csv", Data(), "csv")
    tree = {name: data for name, data in read(root).items() if not name.endswith(".lock")}
    return Store("table cache", tree, tuple(name for name, data in tree.items() if data is not None and name.startswith("tables")), converted_again)


def remembered(root: Path) -> Store:
    """The remembered hash of a file."""
    (root / "rows.csv").write_text("a,b\n1,2\n", "utf-8")
    os.utime(root / "rows.csv", (1, 1))  # old enough to be remembered
    file_digest(root / "rows.csv", root)
    tree = read(root)
    return Store("remembered hashes", tree, tuple(name for name in tree if name.endswith(".json")), hashed_again)


def hashed_again(root: Path, path: Path, before: bytes) -> str:
    """The file is hashed again."""
    os.utime(root / "rows.csv", (1, 1))
    expected = of_file(root / "rows.csv")
    found = file_digest(root / "rows.csv", root)
    return "" if found == expected else "taken as it was"


@contextmanager
def cache_at(root: Path) -> Iterator[None]:
    """The cache's root, for code that asks the environment."""
    before = os.environ.get("THUJA_CACHE")
    os.environ["THUJA_CACHE"] = str(root)
    try:
        yield
    finally:
        os.environ.pop("THUJA_CACHE")
        if before is not None:
            os.environ["THUJA_CACHE"] = before


def converted_again(root: Path, path: Path, before: bytes) -> str:
    """It is made again, equal."""
    with cache_at(root):
        open_table(root / "rows.csv", Data(), "csv")
    return "" if path.read_bytes() == before else "taken as it was"


def logs(root: Path) -> Store:
    """A log of sixty records, added one, two or three at a time."""
    for number in range(0, 60, 6):
        for some in ((number,), (number + 1, number + 2), (number + 3, number + 4, number + 5)):
            stores.log(*some, size=200)(root, DISK)
    return Store("log", read(root), (LOG,), refused_or_told)


def refused_or_told(root: Path, path: Path, before: bytes) -> str:
    """Refused by name; or, where the damage reaches into the last addition, that is left out and told."""
    lines = before.splitlines(keepends=True)
    last = sum(map(len, lines[:-3]))  # the last addition has three records
    data = path.read_bytes()
    first = next((place for place, (a, b) in enumerate(zip(before, data, strict=False)) if a != b), len(data))
    try:
        found = Run(root).records()
    except ArtifactError as error:
        return "" if error.where.startswith(str(path)) else f"another file named: {error}"
    *records, torn = found
    if torn["event"] != "torn" or [log.frame(r, False)[:8] for r in records] != [line[:8] for line in lines[: len(records)]]:
        return "read as if nothing were wrong"
    reaches = len(data) < len(before) or first + PAGE >= last if data.count(0) or len(data) < len(before) else first >= last - 1
    return "" if reaches else f"damage at {first} of {len(before)} taken for a torn tail"


def run_files(root: Path) -> Store:
    """The files of a run."""
    stores.began(root, DISK)
    stores.scored(1)(root / "runs" / "0001", DISK)
    tree = read(root)
    return Store("files of a run", tree, tuple(name for name in tree if name.endswith((".json", ".yaml"))), refused_file)


def refused_file(root: Path, path: Path, _: bytes) -> str:
    """It is not read, and named."""
    run = Run(root / "runs" / "0001")
    try:
        if path.suffix == ".yaml":
            run.spec_data()
        else:
            run.read(path.name)
    except ArtifactError as error:
        return "" if error.where == str(path) else f"another file named: {error}"
    return "read as if nothing were wrong"


MAKERS = (checkpoints, artifacts, column_cache, table_cache, remembered, logs, run_files)


def made(maker: Callable[[Path], Store], root: Path) -> Store:
    """A store in a folder of its own."""
    root.mkdir()
    return maker(root)


def trial(store: Store, kind: str, root: Path, rng: random.Random) -> str | None:
    """Damage a file of a fresh copy; what is wrong, or nothing; None where nothing was damaged."""
    name = rng.choice(store.files)
    before = store.tree[name]
    assert before
    data = mutated(before, kind, rng)
    if data == before or (store.name == "log" and kind == "cut short" and (not data or data.endswith(b"\n"))):
        return None
    lay({**store.tree, name: data}, root)
    try:
        wrong = store.check(root, root / name, before)
    except (ThujaError, SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        wrong = f"{type(error).__name__}: {error}"[:200]
    DISK.remove(root)
    return f"{store.name}, {name}, {kind}: {wrong}" if wrong else ""


def unverified(path: Path, disk: object = None) -> dict[str, bytes]:
    """Planted bug: the files of a checkpoint as they are, compared with nothing."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != checkpoint.MANIFEST}


def caught(store: Store, root: Path, rng: random.Random) -> int:
    """How many of `PLANTED` flipped bits are noticed by this harness when loading does not verify."""
    weights = store._replace(files=tuple(name for name in store.files if name.endswith("model.safetensors")))
    true, checkpoint.verify = checkpoint.verify, unverified
    try:
        return sum(bool(trial(weights, "a bit flipped", root / f"{number}", rng)) for number in range(PLANTED))
    finally:
        checkpoint.verify = true


def run(trials: int, rng: random.Random) -> Outcome:
    """So many damaged files, in turn of each store and kind."""
    failures: list[str] = []
    count = 0
    with workshop() as folder:
        found = [made(maker, folder / maker.__name__) for maker in MAKERS]
        while count < trials:
            for store in found:
                for kind in KINDS:
                    wrong = trial(store, kind, folder / "trial", rng)
                    count += wrong is not None
                    failures += [wrong] if wrong else []
        (folder / "planted").mkdir()
        right = caught(found[0], folder / "planted", rng)
    figures: dict[str, float | str] = {"stores": ", ".join(store.name for store in found), "kinds of damage": ", ".join(KINDS)}
    return Outcome(count, failures, Control("a checkpoint loaded without comparing hashes, one bit flipped in its weights", PLANTED, right), figures)


HARNESSES = (Harness("D4", "a file cut, a bit flipped, 4 KiB zeroed: always noticed: the checkpoint before is taken, caches made again, the rest refused",
                     run, short=180, long=9000),)
