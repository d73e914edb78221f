"""Time to a given accuracy on the test rows, Thuja beside its peers, in turn in one run.

    python benchmarks/time_to_quality.py --survey                           # every peer and recipe once: who is best
    python benchmarks/time_to_quality.py mnist sst2 adult cifar10           # Thuja and the best peer, three seeds in turn; best peers are read from the survey
    python benchmarks/time_to_quality.py mnist --peers keras:documented torch:tuned --seeds 3 --budgets 10 20

Workloads: mnist to 99.0 %, cifar10 as JPEG to 85 %, SST-2 (sentences only) to 80 %, adult to 0.855 with a network. Everything is wall time of whole
processes, interpreter and imports included, float32, all cores, no compilation, OMP_WAIT_POLICY=passive for all alike (torch's spinning threads lose to any
other process on the machine).

A peer's time is that of the first epoch after which the test rows are answered well enough; answering them is not counted, its data are decoded beforehand
and read as arrays, and a lucky epoch counts. Thuja begins with raw files and an empty cache, checks them, decodes, encodes, times its budget, and is asked
once at the end: its time is that of the smallest budget of the ladder with which every seed reaches the goal. All of these favour the peers. The peers'
scripts say what "documented" and "tuned" mean. A peer that does not get there has no time; its ratio is a bound from the cap.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import record
from peers import arrays, environments

HERE = Path(__file__).parent / "peers"
ROOT = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
CACHE = environments.place("arrays")
LADDER = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
SCRIPTS = {"torch": "bare_torch.py", "lightning": "with_lightning.py", "keras": "with_keras.py", "skorch": "with_skorch.py", "fastai": "with_fastai.py"}
QUIET = os.environ | {"OMP_WAIT_POLICY": "passive"}


class Workload(NamedTuple):
    """A goal, a limit, and who has a recipe for it."""

    goal: float
    cap: float
    """Seconds after which a peer is stopped, at the end of its epoch."""
    first: float
    """The budget with which Thuja begins; smaller ones have been seen to fail."""
    peers: tuple[str, ...]
    """peer:recipe."""


WORKLOADS = {
    "mnist": Workload(0.99, 300, 10, ("torch:documented", "torch:tuned", "lightning:documented", "lightning:tuned", "keras:documented", "keras:tuned",
                                      "skorch:documented", "skorch:tuned", "fastai:documented", "fastai:tuned")),
    "cifar10": Workload(0.85, 420, 60, ("torch:documented", "torch:tuned", "lightning:documented", "lightning:tuned")),
    "sst2": Workload(0.80, 300, 5, ("torch:documented", "torch:tuned", "lightning:tuned", "keras:documented", "keras:tuned", "skorch:tuned")),
    "adult": Workload(0.855, 300, 3, ("torch:tuned", "lightning:tuned", "keras:documented", "keras:tuned", "skorch:tuned", "fastai:documented",
                                      "fastai:tuned")),
}


def peer(workload: str, name: str, seed: int) -> dict[str, Any]:
    """One run of `peer:recipe`: the time to the goal, None where it is not reached, and every epoch."""
    library, _, recipe = name.partition(":")
    asked, load = WORKLOADS[workload], round(os.getloadavg()[0], 2)
    try:
        interpreter = environments.python(library)
    except environments.DoesNotInstall as reason:
        return {"seed": seed, "seconds": None, "failed": f"does not install: {reason}"}
    command = [interpreter, HERE / SCRIPTS[library], workload, recipe, "--arrays", arrays.prepare(workload, ROOT, CACHE).parent, "--goal", str(asked.goal),
               "--cap", str(asked.cap), "--seed", str(seed), "--started", str(time.time())]
    with tempfile.TemporaryDirectory() as folder:  # some peers leave files where they are started
        done, failed = finished(command, 3 * asked.cap, Path(folder))
    epochs = [json.loads(line) for line in done.splitlines() if line.startswith("{")]
    reached = next((epoch["seconds"] for epoch in epochs if epoch["metric"] >= asked.goal), None)
    return {"seed": seed, "seconds": reached, "best": max((epoch["metric"] for epoch in epochs), default=None), "load_before": load,
            "stopped_after": epochs[-1]["seconds"] if epochs else None, "epochs": epochs} | ({"failed": failed} if failed else {})


def finished(command: list[Any], limit: float, folder: Path) -> tuple[str, str]:
    """What a process wrote, and why it failed, empty if it did not."""
    try:
        done = subprocess.run(list(map(str, command)), env=QUIET, cwd=folder, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as over:
        return (over.stdout or b"").decode() if isinstance(over.stdout, bytes) else "", f"stopped from outside after {limit:g} s"
    return done.stdout, "" if done.returncode == 0 else done.stderr.strip()[-300:]


def thuja(workload: str, budget: float, seed: int) -> dict[str, Any]:
    """One run of Thuja in a process of its own."""
    load = round(os.getloadavg()[0], 2)
    command = [sys.executable, HERE / "ours.py", workload, "--budget", str(budget), "--seed", str(seed), "--root", str(ROOT), "--started", str(time.time())]
    if workload == "cifar10":
        command += ["--pictures", str(pictures())]
        command[command.index("--started") + 1] = str(time.time())
    done, failed = finished(command, 10 * budget + 300, HERE)
    assert not failed, failed
    return json.loads(done.splitlines()[-1]) | {"load_before": load}


def pictures() -> Path:
    """cifar10 as JPEG files in folders; the archives are unpacked once, outside every clock."""
    from quality_images import folder

    return folder("cifar10", ROOT, CACHE)


def smallest(workload: str, budgets: tuple[float, ...], seeds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The runs of the first budget with which every seed reaches the goal, and the runs of those that fell short."""
    short: list[dict[str, Any]] = []
    for budget in budgets:
        runs: list[dict[str, Any]] = []
        for seed in range(seeds):
            runs.append(thuja(workload, budget, seed))
            told(workload, f"thuja, {budget:g} s", runs[-1])
            if runs[-1]["metric"] < WORKLOADS[workload].goal:
                break
        else:
            return runs, short
        short += runs
    return [], short


def told(workload: str, who: str, run: dict[str, Any]) -> None:
    """A line for whoever watches."""
    shown = {key: run.get(key) for key in ("seed", "seconds", "best", "metric", "failed") if run.get(key) is not None}
    print(f"{workload:8} {who:22} {json.dumps(shown)}", flush=True)


def survey(workloads: list[str], chosen: list[str]) -> None:
    """Every peer and recipe with one seed; added to what an earlier survey of the day found."""
    for workload in workloads:
        before = os.getloadavg()[0]
        found = previous(workload)
        for name in chosen or WORKLOADS[workload].peers:
            found[name] = peer(workload, name, 0)
            told(workload, name, found[name])
        asked = WORKLOADS[workload]
        print(record.save(f"peers_{workload}", {"goal": asked.goal, "cap_s": asked.cap, "seeds": 1, "absent": absent(), "peers": found}, before))


def previous(workload: str) -> dict[str, Any]:
    """What the newest survey says, by peer:recipe."""
    path = record.latest(f"peers_{workload}")
    return json.loads(path.read_text("utf-8"))["peers"] if path else {}


def best(workload: str) -> list[str]:
    """The fastest documented and the fastest tuned recipe of the survey; of those that never got there, the one that came nearest."""
    found = previous(workload)
    assert found, f"no survey of {workload}: run with --survey first"
    names = []
    for recipe in ("documented", "tuned"):
        runs = {name: run for name, run in found.items() if name.endswith(recipe) and run.get("best") is not None}
        if runs:
            names.append(min(runs, key=lambda name: (runs[name]["seconds"] or float("inf"), -runs[name]["best"])))
    return names


def compare(workload: str, names: list[str], seeds: int, budgets: tuple[float, ...]) -> dict[str, Any]:
    """Thuja and the named peers in turn, seed by seed; the ladder is climbed first, and further should a run in turn fall short after all."""
    asked, climbed = WORKLOADS[workload], list[dict[str, Any]]()
    while True:
        runs, short = smallest(workload, budgets, seeds)
        climbed += short + runs
        budget = runs[0]["budget"] if runs else budgets[-1]
        in_turn = turns(workload, names, seeds, budget)
        reached = all(run["metric"] >= asked.goal for run in in_turn["thuja"])
        budgets = tuple(higher for higher in budgets if higher > budget)
        if reached or not budgets:
            break
        climbed += in_turn["thuja"]
    ours = statistics.fmean(run["seconds"] for run in in_turn["thuja"])
    return {"goal": asked.goal, "cap_s": asked.cap, "seeds": seeds, "budget": budget, "reached": reached, "thuja_s": round(ours, 2),
            "thuja_training_s": round(statistics.fmean(run["train_s"] for run in in_turn["thuja"]), 2),
            "ratios": {name: ratio(ours, in_turn[name], asked.cap) for name in names}, "absent": absent(), "runs": in_turn, "climbed": climbed}


def turns(workload: str, names: list[str], seeds: int, budget: float) -> dict[str, list[dict[str, Any]]]:
    """Everybody's runs, one seed after the other."""
    found: dict[str, list[dict[str, Any]]] = {"thuja": [], **{name: [] for name in names}}
    for seed in range(seeds):
        for name in names:
            found[name].append(peer(workload, name, seed))
            told(workload, name, found[name][-1])
        found["thuja"].append(thuja(workload, budget, seed))
        told(workload, f"thuja, {budget:g} s", found["thuja"][-1])
    return found


def absent() -> dict[str, str]:
    """Why a peer that was wanted is not among those that were run."""
    try:
        environments.python("ludwig")
    except environments.DoesNotInstall as reason:
        return {"ludwig": str(reason)}
    return {"ludwig": "no script yet: it installs here, and did not where the others were written"}


def ratio(ours: float, runs: list[dict[str, Any]], cap: float) -> dict[str, Any]:
    """Thuja's mean time as a share of the peer's; where a seed of the peer's is not there at the cap, the cap stands for it and the ratio is a bound."""
    missed = sum(run["seconds"] is None for run in runs)
    mean = statistics.fmean(run["seconds"] if run["seconds"] is not None else max(cap, run.get("stopped_after") or cap) for run in runs)
    return {"peer_s": round(mean, 2), "ratio": round(ours / mean, 3), "seeds_short_of_the_goal": missed}


def main() -> None:
    """Survey or compare the named workloads, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="all when none is named")
    parser.add_argument("--survey", action="store_true", help="the peers alone, one seed each")
    parser.add_argument("--peers", nargs="+", default=[], metavar="PEER:RECIPE", help="instead of the best of the survey, or for the survey instead of all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budgets", nargs="+", type=float, default=[], help="instead of the ladder from the workload's first budget on")
    options = parser.parse_args()
    workloads = options.workloads or list(WORKLOADS)
    if options.survey:
        survey(workloads, options.peers)
        return
    for workload in workloads:
        before = os.getloadavg()[0]
        budgets = tuple(options.budgets) or tuple(budget for budget in LADDER if budget >= WORKLOADS[workload].first)
        result = compare(workload, options.peers or best(workload), options.seeds, budgets)
        print(json.dumps({key: result[key] for key in ("budget", "reached", "thuja_s", "ratios")}))
        print(record.save(f"time_to_quality_{workload}", result, before), flush=True)


if __name__ == "__main__":
    main()
