"""The verb `drill`: a rehearsal of promotion and rollback. A copy of the champion is promoted as a version of its own and taken back, and its answers are
compared to the bit, so that the way back is known to work before it is needed. No torch."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core import digest
from thuja.core.errors import DeploymentError
from thuja.core.seeds import stream
from thuja.core.storage import build_folder, discard
from thuja.life.deployment import LEDGER, PLAN, VERSIONS, Deployment, Step, handover, steps
from thuja.life.ledger import Said
from thuja.life.states import GATES, Gate, Standing, Standings
from thuja.proof import certificate
from thuja.verbs.challenge import opened
from thuja.verbs.deploy import SOMEONE

ROWS = 64
"""Made-up rows and, as far as they are kept whole, requests, of which the answers are compared; as many of each."""
HOLD = 2.0
"""Seconds for which a copy answers in a live drill: a server looks at the ledger twice a second."""


class Drilled(NamedTuple):
    """What a rehearsal has shown."""

    version: str
    """The champion of which a copy was rehearsed with."""
    live: bool
    promoted: bool
    """Whether the copy was the champion for a moment; else it answered everything as a canary."""
    same_bits: bool
    rows: int
    seconds_back: float
    """From the decision to go back until the champion, opened anew, had answered."""
    steps: list[str]


def drill(deployment: Deployment | Path | str, *, live: bool = False, by: str = "", hold: float = HOLD, wait: Callable[[float], None] = time.sleep) -> Drilled:
    """Rehearse in a copy of the deployment; or, with `live`, in the real one while it serves. The result is an event of the real ledger.

    A live drill leaves the way back to an earlier champion open: where there is one, the copy answers all requests as a canary and is never the champion.
    Raises: DeploymentError where nobody answers, or a challenge is going on that a live drill would disturb; ArtifactError for a damaged deployment.
    """
    deployment, who = opened(deployment), by or SOMEONE
    now = deployment.standings()
    if not now.champion:
        raise DeploymentError("drill", expected="a champion to rehearse with", found="nobody answers", fix="Deploy one: thuja deploy ARTEFACT.")
    if live and now.beside:
        raise DeploymentError("drill --live", expected="no challenge going on", found=f"version {now.beside} in {now.of(now.beside).standing}",
                              fix="Wait for it to end, or rehearse in a copy: leave --live out.")
    with _stage(deployment, live) as place:
        found = _rehearsed(place, who, live, hold if live else 0.0, wait)
    evidence = deployment.evidence.keep_data(found._asdict())
    deployment.ledger.append([Said("drill", now.champion, found._asdict(), (evidence,), who)])
    return found


@contextmanager
def _stage(deployment: Deployment, live: bool) -> Iterator[Deployment]:
    """The deployment itself, or a copy of its plan, its log, its evidence and its champion, gone afterwards."""
    if live:
        yield deployment
        return
    with tempfile.TemporaryDirectory(prefix="thuja-drill-") as place:
        champion = deployment.standings().champion
        folders = [Path(), Path(VERSIONS) / champion, *sorted(path.relative_to(deployment.path) for path in (deployment.path / "evidence").glob("*"))]
        copy = Path(place) / "copy"
        for folder in folders:
            files = (PLAN, LEDGER) if folder == Path() else deployment.disk.list(deployment.path / folder)
            with build_folder(copy / folder) as draft:
                for name in files:
                    deployment.disk.create(draft / name)
                    deployment.disk.extend(draft / name, deployment.disk.read(deployment.path / folder / name))
        yield Deployment(copy, deployment.clock, kinds=deployment.kinds)


def _rehearsed(place: Deployment, who: str, live: bool, hold: float, wait: Callable[[float], None]) -> Drilled:
    now = place.standings()
    champion, watched, promote = now.champion, now.of(now.champion).standing == "WATCH", not (live and now.previous)
    rows = _rows(place, champion)
    before = answered(place.artifact(champion), rows, place.kinds)
    name = place.add(place.artifact(champion), {**now.of(champion).facts, "why": f"a drill with a copy of version {champion}"}, by=who)
    began = len(place.ledger.events())
    try:
        place.say(lambda standings: steps(standings, _up(standings, name, promote), who))
        if not promote:
            place.ledger.append([Said("share", name, {"share": 1.0}, by=who)])
        wait(hold)
        copied = answered(place.artifact(name), rows, place.kinds)
    finally:
        start = time.perf_counter()
        after_drill = place.standings()
        if after_drill.of(name).standing in ("CANARY", "CHAMPION"):
            place.go_back("the drill is over", by=who)
        back = answered(place.artifact(place.standings().champion), rows, place.kinds)
        seconds = time.perf_counter() - start
        _cleared(place, name, champion, who, watched=watched)
    taken = [f"{event.version}: {event.body['from']} -> {event.body['to']}" for event in place.ledger.events()[began:] if event.kind == "moved"]
    same = before == copied == back and place.standings().champion == champion
    return Drilled(champion, live, promote, same, len(next(iter(rows.values()))), round(seconds, 4), taken)


def answered(artifact: Artifact, rows: Mapping[str, list[Any]], kinds: Mapping[str, str]) -> str:
    """A hash of what an artefact, opened anew, answers to rows: equal for equal bits."""
    fresh = Artifact.open(artifact.path, kinds)
    return digest.of_data(certificate.plain(fresh.schema, Predictor(fresh).predict(rows)))


def _rows(place: Deployment, champion: str) -> dict[str, list[Any]]:
    """What is asked: rows of the champion's certificate, whose answers are known."""
    artifact = place.artifact(champion)
    held = certificate.read(artifact)
    fields = artifact.schema.inputs
    count = min(ROWS, len(held.ids))
    rng = stream(0, "drill")
    chosen = np.sort(rng.permutation(len(held.ids))[:count])
    return {name: [field.from_json(held.rows[name][i], name) for i in chosen] for name, field in fields.items()}


def _up(now: Standings, name: str, promote: bool) -> list[Step]:
    """The steps of the copy from DRAFT to where it answers; in a copy of the deployment it pushes a challenger aside."""
    why = Gate(True, "a drill: a copy of the champion")
    way: list[Step] = [(now.beside, "CANDIDATE", {"cause": why})] if now.beside else []
    places: tuple[Standing, ...] = ("DRAFT", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    way += [(name, to, dict.fromkeys(GATES[before, to], why)) for before, to in itertools.pairwise(places)]
    return [*way, *handover(now, name, dict.fromkeys(GATES["CANARY", "CHAMPION"], why))] if promote else way


def _cleared(place: Deployment, name: str, champion: str, who: str, *, watched: bool) -> None:
    """The copy is retired and its files are gone; a champion that was watched is watched again."""
    standing = place.standings().of(name).standing
    if standing == "ROLLED_BACK":
        place.step(name, "RETIRED", {}, by=who)
    elif standing not in ("RETIRED", "QUARANTINED"):
        place.step(name, "QUARANTINED", {"cause": Gate(True, "a drill that went wrong")}, by=who)
    if watched and place.standings().of(champion).standing == "CHAMPION":
        place.step(champion, "WATCH", {"cause": Gate(True, "as before the drill")}, by=who)
    discard(place.place(name), place.disk)
