"""The verb `retrain`: the champion's own spec on newer rows, from its weights or from none, evaluated, exported, and put beside it.

The verbs train, evaluate and export are used as they are. What is learned from is written down: a snapshot, the parent, and what has changed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.document import Document, override
from thuja.core.errors import DeploymentError
from thuja.core.storage import write_atomic
from thuja.life.deployment import Deployment, steps
from thuja.life.ledger import last_of
from thuja.life.loss import losses
from thuja.life.states import Gate, Standings
from thuja.life.watch import Reference
from thuja.settings import Data, TimeSplit
from thuja.verbs import gates
from thuja.verbs.challenge import challenge, opened
from thuja.verbs.deploy import SOMEONE, content_steps, facts, known_of
from thuja.verbs.gates import Gates
from thuja.verbs.reference import answers
from thuja.verbs.traffic import columns, labelled, newest, table, with_traffic

INHERITED = ("checks", "ageing")
"""Gates about the spec and its data: what a person has waived for the champion holds for one that is made from the same."""
SPEC_FILE = "retrain.yaml"


class Ways(NamedTuple):
    """How a model is made anew."""

    warm: bool | None = None
    """Go on from the champion's weights; None: as the plan says."""
    traffic: bool = False
    """Learn from answered requests with labels as well."""
    waive: Mapping[str, str] = {}
    """Gates that are let pass although they are shut, each with the reason; `frozen` among them."""


def retrain(deployment: Deployment | Path | str, *, data: Any = None, overrides: Sequence[str] = (), root: Path | None = None, by: str = "policy",
            ways: Ways | None = None) -> str:
    """Train the champion's spec on newer rows and add the result: a CANDIDATE, and in SHADOW where the plan lets it and nobody stands there. Its name.

    Args:
        data: rows as `train` takes them: a path, a table, a dict of columns, a list of dicts. Left out: the path of the spec, where rows have been added.
        overrides: "name=value" changes of the spec.
        root: where the run is kept; `runs` in the deployment when left out.
    Raises: DeploymentError while learning is frozen, without a champion, without its data, or for a shut gate; whatever train, evaluate and export raise.
    """
    deployment, ways = opened(deployment), ways or Ways()
    now = deployment.standings()
    _refuse(deployment, now, ways)
    root = root or deployment.path / "runs"
    spec, rows = _asked(deployment, now, data, root, ways)
    spec = override(Document(spec, "the champion's spec"), overrides).data
    artifact, changed = _made(deployment, now, _written(root, spec), rows)
    shown = gates.with_waivers(_inherited(deployment, now, gates.of_content(artifact)), {n: why for n, why in ways.waive.items() if n != "frozen"})
    gates.refuse_shut(f"retrain {deployment.path}", shown)
    about = {"trained": deployment.clock(), "parent": now.champion, "run": str(artifact.path.parent.resolve()), "why": _why(deployment), "changed": changed,
             "base": str(root.resolve())}
    known = known_of(artifact, deployment.plan)
    known = known._replace(reference=_with_lives(deployment, now, known.reference))
    name = deployment.add(artifact, facts(deployment, known) | about, by=by or SOMEONE)
    deployment.say(lambda standings: steps(standings, content_steps(name, shown, "DRAFT"), by or SOMEONE))
    if "shadow" in deployment.plan.alone and not deployment.standings().beside:
        challenge(deployment, name, by=by)
    return name


def _refuse(deployment: Deployment, now: Standings, ways: Ways) -> None:
    if not now.champion:
        raise DeploymentError("retrain", expected="a champion whose spec is trained again", found="nobody answers", fix="Deploy one: thuja deploy ARTEFACT.")
    if now.frozen and not ways.waive.get("frozen", "").strip():
        raise DeploymentError("retrain", expected="data that are not known to be broken", found=f"learning is frozen: {now.frozen}",
                              fix="Wait until the fault is over, or waive it with a reason: --waive frozen=why.")


def _asked(deployment: Deployment, now: Standings, data: Any, root: Path, ways: Ways) -> tuple[dict[str, Any], Any]:
    """The spec to train, its paths seen from `root`, and the rows as an object; None where they are read from the path."""
    known = now.of(now.champion).facts
    spec: dict[str, Any] = deployment.evidence.get_data(known["spec"])
    base, section = Path(known.get("base", ".")), spec.setdefault("data", {})
    path = Path(data) if isinstance(data, (str, Path)) else None
    rows = None if path is not None else data
    if path is not None:
        section["path"] = _seen_from(root, path)
    elif rows is None:
        section["path"] = _there(base / section["path"], root) if section.get("path") else _refuse_absent()
    for part in ("validation", "test"):
        if section.get(part):
            section[part] = _seen_from(root, base / section[part])
    if isinstance(section.get("split"), dict) and section["split"].get("borders"):
        section["split"] = section["split"] | {"borders": []}  # dates of the champion's day: newer rows would all be test rows
    if deployment.plan.renew.warm if ways.warm is None else ways.warm:
        _refuse_warm(str(spec["task"]["kind"]))
        spec["parent"] = _seen_from(root, deployment.place(now.champion))
    elif spec.get("parent"):
        spec["parent"] = _seen_from(root, base / spec["parent"])
    if ways.traffic or deployment.plan.renew.rows != "auto":
        there = section | ({"path": str((root / section["path"]).resolve())} if rows is None else {})  # `root` need not be there yet
        rows = _chosen(deployment, deployment.artifact(now.champion), spec, table(Data.model_validate(there), Path(), rows), ways)
        section["path"] = ""
    return spec, rows


def _chosen(deployment: Deployment, champion: Artifact, spec: dict[str, Any], source: Any, ways: Ways) -> Any:
    """The rows of a table, those of labelled requests among them where they are wished for, and of all only the newest where the plan says so."""
    section, most = Data.model_validate(spec["data"]), deployment.plan.renew.rows
    if ways.traffic:
        time = section.split.column if isinstance(section.split, TimeSplit) else ""
        judged, target = deployment.reference(deployment.standings().champion).judged.field, spec["task"].get("target")
        if not judged or not isinstance(target, str) or target not in source.names:
            raise DeploymentError("retrain --traffic", expected="a kind whose labels are the target of its rows", found=f"target {target!r}",
                                  fix="Add the requests to your data yourself, and retrain with --data.")
        rows = with_traffic(columns(source), labelled(deployment, champion), target, judged, time)
        source = table(section, Path(), rows)
    return columns(source if most == "auto" else newest(source, section, most))


def _refuse_warm(kind: str) -> None:
    """Raises: DeploymentError for a kind that cannot go on from weights."""
    from thuja.spec import task_class
    from thuja.task import Task

    if task_class(kind).inherit is Task.inherit:
        raise DeploymentError("retrain --warm", expected="a kind of task that can go on from another run", found=repr(kind),
                              fix="Begin with no weights: --scratch, or renew.warm: false in the plan.")


def _seen_from(root: Path, path: Path) -> str:
    return os.path.relpath(path.resolve(), root.resolve())


def _there(path: Path, root: Path) -> str:
    if not path.exists():
        raise DeploymentError("retrain", expected="the data of the champion's spec", found=f"nothing at {path}", fix="Say where newer rows are: --data PATH.")
    return _seen_from(root, path)


def _refuse_absent() -> str:
    raise DeploymentError("retrain", expected="rows to learn from", found="a champion that learned from rows in memory",
                          fix="Say where newer rows are: --data PATH, or data=... in Python.")


def _written(root: Path, spec: dict[str, Any]) -> Path:
    """The spec as a file, so that its paths start where it lies, and a person can read what is trained."""
    from ruamel.yaml import YAML
    from ruamel.yaml.compat import StringIO

    text = StringIO()
    YAML(typ="safe", pure=True).dump(spec, text)
    write_atomic(root / SPEC_FILE, text.getvalue().encode())
    return root / SPEC_FILE


def _made(deployment: Deployment, now: Standings, spec: Path, rows: Any) -> tuple[Artifact, dict[str, Any]]:
    """Train, evaluate, export; the artefact, and what has changed against the champion."""
    from thuja import spec as specs
    from thuja.data.rows import Subset
    from thuja.training.prepare import reopen_data
    from thuja.verbs.evaluate import evaluate
    from thuja.verbs.export import export
    from thuja.verbs.train import train

    run = train(spec, data=rows, root=spec.parent)
    settled = specs.parse(run.spec_data(), str(run.path))
    if settled.task.targets and settled.task.metrics(run.codec()):
        evaluate(run, data=rows)
    artifact = export(run, data=rows)
    opened_data = reopen_data(run, settled, run.codec(), rows)
    tested = opened_data.sources.get("test")
    changed: dict[str, Any] = {"rows": run.read("data.json")["rows"]}
    if tested is not None:
        known = deployment.reference(now.champion)
        judged = known.judged
        column = judged.field if judged.field in settled.task.targets else settled.task.targets[0]
        part = Subset(tested, opened_data.encoded["test"].kept)
        changed |= _compared(deployment.artifact(now.champion), artifact, part, column, judged) if known.rows else {}
        changed["unseen"] = settled.data.split != "auto" and settled.data.split.kind in ("time", "order")
    return artifact, changed


def _compared(champion: Artifact, ours: Artifact, source: Any, column: str, judged: Any) -> dict[str, Any]:
    """The mean loss of both on the same rows, the champion's scale for both; nothing where they cannot both be asked."""
    if any(name not in source.names for artifact in (champion, ours) for name in (column, *artifact.schema.inputs)):
        return {}
    found = [answers(Predictor(artifact), source, column, judged.field) for artifact in (champion, ours)]
    lost = [losses(artifact.schema, judged, one.answers, one.truths) for artifact, one in zip((champion, ours), found, strict=True)]
    if len(lost[0]) != len(lost[1]):
        return {}
    both = np.isfinite(lost[0]) & np.isfinite(lost[1])
    return {"compared": int(both.sum()), "loss_before": float(lost[0][both].mean()), "loss_after": float(lost[1][both].mean())} if both.any() else {}


def _inherited(deployment: Deployment, now: Standings, shown: Gates) -> Gates:
    """The gates, where what was found or waived for the champion holds for a model of the same spec."""
    moved = [event for event in deployment.ledger.events() if event.kind == "moved" and event.version == now.champion and event.body["to"] == "CANDIDATE"]
    theirs = moved[0].body["gates"] if moved else {}
    for name in INHERITED:
        if name in theirs and not shown[name].passed:
            gate = theirs[name]
            if gate["passed"]:
                shown = shown | {name: Gate(True, f"{gate['found']} (as version {now.champion})")}
            elif gate["waived"]:
                shown = shown | {name: shown[name]._replace(waived=f"{gate['waived']} (as for version {now.champion}, by {moved[0].by})")}
    return shown


def _with_lives(deployment: Deployment, now: Standings, reference: Reference) -> Reference:
    """With the lives of the models that were aged for the champion, which are those of the same spec, where the new one was not aged itself."""
    theirs = deployment.reference(now.champion)
    return reference if reference.lives else replace(reference, lives=theirs.lives, calendar=theirs.calendar, ways=theirs.ways,
                                                     usual_gap=reference.usual_gap or theirs.usual_gap)


def _why(deployment: Deployment) -> str:
    """The wish of the last look; that somebody asked, where there was none."""
    look = last_of(deployment.ledger.events(), "look")
    wish = None if look is None else look.body["decision"]
    return f"{wish['reason']}: {wish['words']}" if wish and wish["retrain"] else "asked for"
