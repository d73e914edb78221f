"""How long a look takes late in a long life: ten years of daily looks in the ledger, a million labels in the half year that is kept.

    python benchmarks/life/looks.py

The deployment is the toy of the tests (an artefact that doubles a number), its log and files are written as a service writes them, by the hour. Measured: the
events read by a process that has just started and by one that has them already, and after one more; the labels that came before, for the 5,464 answers
whose labels came in the last day, from all files (as it was done before there was an index) and from the index, when it is first made and afterwards; and a
whole look. Goal: a look of a running service in at most 2 s.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import record
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.core import log
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.index import Index
from thuja.life.labels import Label
from thuja.life.ledger import Event, Ledger, Said, _next
from thuja.life.loss import Judged
from thuja.life.plan import Plan
from thuja.life.replay import Hasty, ReplayClock
from thuja.life.states import GATES, Gate
from thuja.life.watch import Memory, Reference

DAY, HOUR = 86400.0, 3600.0
BEGIN = 1.4e9 // DAY * DAY
DAYS, KEPT, LABELS = 3652, 183, 1_000_000


def timed(what) -> float:
    began = time.perf_counter()
    what()
    return round(time.perf_counter() - began, 4)


def begun(place: Path) -> Deployment:
    """A deployment with a champion."""
    made = Deployment.create(place / "shop", Plan(), ReplayClock(BEGIN), Hasty())
    made.kinds = toys.KINDS
    folder.write(place / "a", toys.plain_files(weight=2.0), kind="toy-table", clock=made.clock)
    known = Reference({}, 0.3, 4000, False, None, judged=Judged("value", 100.0))
    name = made.add(Artifact.open(place / "a", toys.KINDS), {"reference": made.evidence.keep_data(known.plain()), "trained": BEGIN})
    for to in ("TRAINED", "CANDIDATE", "SHADOW", "CANARY"):
        made.step(name, to, dict.fromkeys(GATES[made.standings().of(name).standing, to], Gate(True, "so")))
    made.hand_over(name, dict.fromkeys(GATES["CANARY", "CHAMPION"], Gate(True, "so")))
    return made


def ten_years(made: Deployment) -> None:
    """A look a day, in the log as looks write it: the memory of 400 windows with each."""
    events = made.ledger.events()
    forecast = {"state": "abstain", "reason": "only 0 lives of similar models are known", "quantiles": None, "next_window": None, "tier": 2}
    decision = {"retrain": False, "reason": "nothing", "words": "no reason to train", "due": None}
    added: list[Event] = []
    for day in range(1, DAYS):
        memory = Memory(losses=(0.3,) * min(day, 400), rows=(5464,) * min(day, 400), windows=day).plain()
        body = {"start": BEGIN + (day - 1) * DAY, "end": BEGIN + day * DAY, "requests": 6000, "refusals": 0, "labels": 5464, "loss": 0.3, "statistic": 0.1,
                "estimated": None, "why": "", "forecast": forecast, "decision": decision, "unknown_labels": 0, "repeated_labels": 0,
                "contradicted_labels": 0, "early_labels": 0, "memory": memory}
        added.append(_next(added[-1] if added else events[-1], Said("look", "1", body), BEGIN + day * DAY))
    log.append(made.ledger.path, [event.plain() for event in added], made.disk)


def half_a_year(made: Deployment) -> None:
    """Answers of the last days by the hour, each with a label a day later; a million labels."""
    each = LABELS // (KEPT * 24)
    for hour in range((DAYS - KEPT) * 24, DAYS * 24):
        at = BEGIN + hour * HOUR
        ids = [made.calls.new_id(at - DAY + 15 * place) for place in range(each)]
        if hour >= (DAYS - 2) * 24:
            made.calls.add([Call(name, at - DAY + 15 * place, "1", None, {"value": 2.0 * place}, 0.4, 1.0) for place, name in enumerate(ids)])
        made.labels.add([Label(name, at + 15 * place, {"value": 2.0 * place + 5}) for place, name in enumerate(ids)], at + HOUR / 2)


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        made = begun(Path(temporary))
        wrote = {"ledger": timed(lambda: ten_years(made)), "labels": timed(lambda: half_a_year(made))}
        made.clock.now = now = BEGIN + DAYS * DAY
        ledger = Ledger(made.ledger.path)
        events = {"first": timed(ledger.events), "unchanged": timed(ledger.events)}
        made.ledger.append([Said("told", body={"to": "nobody"})])
        events["one_more"] = timed(ledger.events)
        came = [label.call for label in made.labels.between(now - DAY, now)]
        start = now - DAY - KEPT * DAY
        index = Index(made.labels.segments)
        before = {"from_all_files": timed(lambda: index._read(set(came), start, now - DAY)), "index_made": timed(lambda: index.truths(came, start, now - DAY)),
                  "index_used": timed(lambda: index.truths(came, start, now - DAY))}
        looked = {"whole_look": timed(made.look)}
        found = next(event for event in reversed(made.ledger.events()) if event.kind == "look")
        result = {"says": "seconds of a look after ten years of daily looks, with a million labels in half a year", "labels": made_labels(made),
                  "labels_in_look": len(came), "ledger_mb": round(made.ledger.path.stat().st_size / 1e6, 1), "wrote_s": wrote, "events_s": events,
                  "labels_before_s": before, "look_s": looked, "counted": found.body["labels"], "index_mb": round(index.path.stat().st_size / 1e6, 1),
                  "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), "goals": {"whole_look": 2.0}}
    print(result)
    print(record.save("life_looks", result, load))


def made_labels(made: Deployment) -> int:
    return LABELS // (KEPT * 24) * KEPT * 24


if __name__ == "__main__":
    main()
