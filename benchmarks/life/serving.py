"""What a deployment costs the server that serves it, and how soon a promotion reaches the answers: python benchmarks/life/serving.py [--write].

1. Overhead of recording. Three servers of one artefact stand side by side: the artefact served plainly; a deployment with the default plan (50 answers a second
   kept, inputs summarised); one that keeps whole inputs. wrk asks them in turn for a few seconds, again and again in an order that goes round, over 16
   kept-alive connections; the figures are medians of the ratios within a round, so that other programs disturb all three alike. Goals: at most 5 % of the
   throughput, p99 at most 1.2 times. Two models (benchmarks/serving_models.py): `tiny`, which leaves the server as the cost, and `convnet`, 1 ms a picture.
   Servers and wrk share the cores that this process may use; processor time of the server on an answer stands beside, which load disturbs least.
2. Promotion and rollback while four clients ask without a pause: 25 versions are each promoted (not loaded before: as slow as it gets) and taken back, so
   50 changes. Goals: no failed request, and less than 5 s from the ledger to the first answer of the other version.

Seeds: the models are those of serving_models (seed 0); nothing else is drawn.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import record
import serving_models
from serving import THUJA, processor_s
from serving_models import CONVNET, TINY, Workload

from thuja.artifact.folder import Artifact
from thuja.life.deployment import Deployment
from thuja.life.plan import Plan, Record
from thuja.life.states import GATES, Gate
from thuja.verbs.deploy import deploy

HERE = Path(__file__).resolve().parent
PLAIN, DEFAULT, FULL = "plain", "default plan", "whole inputs"
PORT, CONNECTIONS, CLIENTS, VERSIONS = 8140, 16, 4, 25
OPEN = Gate(True, "a benchmark")
WAIVED = {"metrics": "20 steps for a benchmark of the server", "card": "the same"}
ASK = {"Content-Type": "application/json"}


@contextmanager
def serving(path: Path, port: int, body: bytes) -> Iterator[int]:
    """A server of an artefact or a deployment, from its first answer on; its process."""
    process = subprocess.Popen([sys.executable, "-c", THUJA, str(path), str(port)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + 60
        while not asked(port, body):
            assert process.poll() is None and time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def asked(port: int, body: bytes) -> bool:
    """Whether a good answer comes."""
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, ASK), timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def load(port: int, pid: int, body: Path, seconds: float) -> dict[str, float]:
    """What wrk sees of one server for a while."""
    environment = {**os.environ, "BODY": str(body), "HEADERS": "Content-Type: application/json"}
    before = processor_s(pid)
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}", "-s", str(HERE.parent / "load.lua"), f"http://127.0.0.1:{port}/predict"],
                          env=environment, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["refused"] + found["broken"], found
    return {"requests_per_s": found["requests"] / found["seconds"], "p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"],
            "processor_us": 1e6 * (processor_s(pid) - before) / found["requests"]}


def overhead(work: Workload, rounds: int, seconds: float) -> dict[str, Any]:
    """The three servers, asked in turn."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as open_:
        root = Path(place)
        plans = {DEFAULT: Plan(), FULL: Plan(record=Record(inputs="full"))}
        paths = {PLAIN: work.artifact} | {name: deploy(work.artifact, root / name, plan=plan, waive=WAIVED).path for name, plan in plans.items()}
        (root / "body").write_bytes(work.json)
        servers = {name: (PORT + i, open_.enter_context(serving(path, PORT + i, work.json))) for i, (name, path) in enumerate(paths.items())}
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for number in range(-1, rounds):
            names = list(servers)[number % 3 :] + list(servers)[: number % 3]
            for name in names:
                found = load(*servers[name], root / "body", seconds)
                if number >= 0:  # the first round warms up
                    seen[name].append(found)
        kept = {name: sum(1 for _ in Deployment.open(root / name).calls.between(0, 1e11)) for name in plans}
    figures: dict[str, Any] = {name: {what: round(statistics.median(one[what] for one in some), 3) for what in some[0]} for name, some in seen.items()}
    for name in plans:
        figures[name]["answers_kept"] = kept[name]
        for what, ratio in (("requests_per_s", "throughput_ratio"), ("p99_ms", "p99_ratio"), ("processor_us", "processor_ratio")):
            ratios = [a[what] / b[what] for a, b in zip(seen[name], seen[PLAIN], strict=True)]
            figures[name][ratio] = round(statistics.median(ratios), 3)
            figures[name][f"{ratio}_quartiles"] = [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]]
    return figures | {"rounds": rounds, "seconds": seconds}


class Client(threading.Thread):
    """Asks without a pause, and notes what failed and when a version was first seen."""

    def __init__(self, port: int, body: bytes, first: dict[str, float]) -> None:
        super().__init__(daemon=True)
        self.port, self.body, self.first = port, body, first
        self.answers = self.failed = 0
        self.going = True

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while self.going:
            try:
                connection.request("POST", "/predict", self.body, ASK)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
                continue
            self.failed += answer.status != 200
            self.answers += 1
            self.first[answer.headers["Thuja-Model"]] = time.perf_counter()


def swaps(first: Workload, other: Path) -> dict[str, Any]:
    """Promotions and rollbacks under load."""
    with tempfile.TemporaryDirectory() as place:
        deployment = deploy(first.artifact, Path(place) / "shop", waive=WAIVED)
        artifacts = {"1": Artifact.open(first.artifact), "2": Artifact.open(other)}
        facts = {"reference": deployment.standings().of("1").facts["reference"]}
        up: list[float] = []
        down: list[float] = []
        with serving(deployment.path, PORT, first.json):
            seen: dict[str, float] = {}
            clients = [Client(PORT, first.json, seen) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            for _ in range(VERSIONS):
                name = deployment.add(artifacts["2"], facts)
                for before, to in zip(("DRAFT", "TRAINED", "CANDIDATE", "SHADOW"), ("TRAINED", "CANDIDATE", "SHADOW", "CANARY"), strict=True):
                    deployment.step(name, to, dict.fromkeys(GATES[before, to], OPEN))  # type: ignore[index]
                deployment.hand_over(name, dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
                up.append(until(seen, artifacts["2"].digest))
                deployment.go_back("a benchmark")
                down.append(until(seen, artifacts["1"].digest))
            for client in clients:
                client.going = False
            for client in clients:
                client.join(30)
    asked_, failed = sum(client.answers for client in clients), sum(client.failed for client in clients)
    return {"changes": len(up) + len(down), "requests": asked_, "failed": failed, "promotion_s": spread(up), "rollback_s": spread(down)}


def until(seen: dict[str, float], digest: str) -> float:
    """Seconds from now to the first answer of that artefact."""
    began = time.perf_counter()
    while seen.get(digest, 0.0) < began:
        assert time.perf_counter() - began < 60, "the other version never answers"
        time.sleep(0.001)
    return seen[digest] - began


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)}


def goals(found: dict[str, Any]) -> dict[str, bool]:
    """What was to be reached, and whether it was."""
    recorded = [found[model][name] for model in (TINY, CONVNET) for name in (DEFAULT, FULL)]
    changes = found["changes"]
    return {"throughput >= 0.95 of the plain artefact's": all(one["throughput_ratio"] >= 0.95 for one in recorded),
            "p99 <= 1.2 times the plain artefact's": all(one["p99_ratio"] <= 1.2 for one in recorded),
            "no failed request in 50 changes": changes["failed"] == 0 and changes["changes"] >= 50,
            "the other version answers within 5 s": max(changes["promotion_s"]["worst"], changes["rollback_s"]["worst"]) < 5}


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="of the three servers")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--folder", type=Path, help="where the two models are kept; trained and thrown away when left out")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    before = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as spare:
        works = serving_models.make(options.folder or Path(spare))
        found: dict[str, Any] = {name: overhead(works[name], options.rounds, options.seconds) for name in (TINY, CONVNET)}
        other = serving_models.retrained(options.folder or Path(spare))
        found["changes"] = swaps(works[TINY], other)
    found["goals"] = goals(found)
    print(json.dumps(found, indent=1))
    if options.write:
        print(record.save("life_serving", found, before))


if __name__ == "__main__":
    main()
