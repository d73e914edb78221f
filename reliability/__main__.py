"""Run harnesses one after another, and write what they found: a JSON file each in reliability/results, and the table docs/reliability.md."""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import reliability
from reliability.outcome import SHOWN, Harness, Outcome

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "reliability" / "results"
TABLE = ROOT / "docs" / "reliability.md"


def harnesses() -> list[Harness]:
    """Every harness of every module of the package, by id."""
    modules = [importlib.import_module(f"reliability.{m.name}") for m in pkgutil.iter_modules(reliability.__path__) if not m.name.startswith("_")]
    found = [harness for module in modules for harness in getattr(module, "HARNESSES", ())]
    assert len({h.id for h in found}) == len(found), "two harnesses of one id"
    return sorted(found, key=lambda h: (h.id[0], int(h.id[1:])))


def carry_out(harness: Harness, trials: int, seed: int) -> dict[str, Any]:
    """Run one harness and describe it as plain data."""
    load, started = os.getloadavg()[0], time.perf_counter()
    outcome = harness.run(trials, random.Random(seed))
    return describe(harness, outcome) | {
        "seed": seed, "seconds": round(time.perf_counter() - started, 1), "commit": commit(), "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)], "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def describe(harness: Harness, outcome: Outcome) -> dict[str, Any]:
    """What the result file says of an outcome."""
    return {
        "id": harness.id, "promise": harness.promise, "passed": outcome.passed, "trials": outcome.trials, "failed": len(outcome.failures),
        "failures": outcome.failures[:SHOWN], "bound_95": round(outcome.bound, 6), "control": outcome.control._asdict(), "figures": outcome.figures,
    }


def commit() -> str:
    """The commit that was tested; a star where files differed from it."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "thuja", "reliability", ":!reliability/results")
    return git("rev-parse", "--short", "HEAD") + ("*" if changed else "")


def table() -> str:
    """docs/reliability.md, from the result files."""
    lines = ["# What was tried to break Thuja", "",
             "Written by `make reliability` from the files in reliability/results. *Bound* is the largest true rate of failure that so many trials leave "
             "possible (95 %, Clopper and Pearson). *Planted bug* is a defect put in on purpose: a harness that does not catch it proves nothing.", "",
             "| id | promise | trials | failures | 95 % bound | planted bug caught | what else was measured | seed | commit |",
             "|---|---|---|---|---|---|---|---|---|"]
    for harness in harnesses():
        path = RESULTS / f"{harness.id}.json"
        if not path.is_file():
            lines.append(f"| {harness.id} | {harness.promise} | not run | | | | | | |")
            continue
        found = json.loads(path.read_text("utf-8"))
        control = found["control"]
        figures = "; ".join(f"{name}: {value}" for name, value in found["figures"].items())
        lines.append(f"| {found['id']} | {found['promise']} | {found['trials']:,} | {found['failed']:,} | {100 * found['bound_95']:.2g} % | "
                     f"{control['caught']} of {control['trials']}: {control['planted']} | {figures} | {found['seed']} | {found['commit']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("--tier", choices=("short", "long"), default="short")
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument("--trials", type=int, help="so many trials of each, instead of the tier's")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    wanted = {name for name in asked.only.split(",") if name}
    chosen = [h for h in harnesses() if not wanted or h.id in wanted]
    if unknown := wanted - {h.id for h in chosen}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(h.id for h in harnesses())}")
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for harness in chosen:
        found = carry_out(harness, asked.trials or getattr(harness, asked.tier), asked.seed)
        (RESULTS / f"{harness.id}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        TABLE.write_text(table(), "utf-8")
        print(f"{harness.id:4} {'passed' if found['passed'] else 'FAILED'} {found['trials']} trials, {found['failed']} failures, bound "
              f"{100 * found['bound_95']:.2g} %, planted bug {found['control']['caught']}/{found['control']['trials']}, {found['seconds']} s", flush=True)
        failed += [] if found["passed"] else [harness.id]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
