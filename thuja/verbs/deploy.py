"""The verb `deploy`: an artefact becomes a version of a deployment. The first one answers at once; any later one is a candidate that has to prove itself.

No torch and no training data: what is to be known of a model is in its artefact (`life.json`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.document import Document, read_yaml, validate
from thuja.core.errors import ArtifactError, DataError, DeploymentError
from thuja.data.source import open_source
from thuja.life.deployment import PLAN, Deployment, Step, handover, steps
from thuja.life.ends import ended, ending
from thuja.life.plan import Plan
from thuja.life.states import GATES, Gate, Standing, Standings
from thuja.life.watch import Reference
from thuja.settings import Data
from thuja.verbs import gates
from thuja.verbs.gates import Gates
from thuja.verbs.reference import reference, stretched

SOMEONE = "someone"
"""Who decided, where nobody gave a name."""
GONE = frozenset({"RETIRED", "ROLLED_BACK"})
"""Standings from which the same artefact may be deployed once more."""
CONTENT: tuple[Standing, ...] = ("TRAINED", "CANDIDATE")
"""The steps of a version whose artefact is all that is looked at."""


class Known(NamedTuple):
    """An artefact with what is known of it before it answers."""

    artifact: Artifact
    reference: Reference
    plan: Plan
    faults_only: str
    """Why it can be watched for faults alone; empty where its losses are known."""


def deploy(what: Path | str, to: Deployment | Path | str, *, plan: Plan | Path | str | None = None, rows: Any = None, by: str = "",
           waive: Mapping[str, str] | None = None) -> Deployment:
    """Put an artefact into service: as the champion where nobody answers yet, else as a candidate (`challenge` puts it beside the champion).

    Args:
        what: an artefact, or the run that holds one.
        to: the folder of the deployment, made where there is none; or a `Deployment`, made or not, with its clock, its disk and its kinds.
        plan: of a new deployment, or its file; the one in the artefact when left out.
        rows: a table with the truth of rows, for an artefact that brings no reference, or a newer one.
        by: who decides.
        waive: gates that are let pass although they are shut, each with the reason.
    Raises: ArtifactError; DeploymentError for a shut gate, naming all that are, before anything is written.
    """
    deployment = to if isinstance(to, Deployment) else Deployment(Path(to))
    artifact = gates.opened(Path(what), deployment.kinds)
    fresh = not (deployment.path / PLAN).exists()
    typed = read_plan(plan) if isinstance(plan, (str, Path)) else plan
    settled = (typed or Plan.model_validate(artifact.life.get("plan", {}))) if fresh else deployment.plan
    _refuse_plan(deployment, typed, settled)
    known = known_of(artifact, settled, rows)
    standings = Standings() if fresh else deployment.standings()
    _refuse_twin(standings, artifact)
    shown = gates.of_content(artifact)
    if not standings.champion:
        shown |= gates.of_service(artifact, None, deployment.kinds)
    shown = gates.with_waivers(shown, waive or {})
    gates.refuse_shut(f"deploy {what}", shown)
    if fresh:
        Deployment.create(deployment.path, settled, deployment.clock, deployment.disk)
    name = deployment.add(artifact, facts(deployment, known) | _place(Path(what)), by=by or SOMEONE)
    deployment.say(lambda now: steps(now, _way(now, name, shown), by or SOMEONE))
    return deployment


def known_of(artifact: Artifact, plan: Plan, rows: Any = None) -> Known:
    """What is known of an artefact, in the windows of a plan. Raises: DeploymentError where nothing is, and no rows are given; ArtifactError."""
    life = artifact.life
    if not life and rows is None:
        raise DeploymentError(str(artifact.path), expected="what is known of its answers (life.json)", found="an artefact from before there was any",
                              fix="Export it again, or give rows whose truth is known: --rows FILE.")
    try:
        known = Reference.parse(life["reference"]) if life else None
        window = Plan.model_validate(life.get("plan", {})).harm.window
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(str(artifact.path / "life.json"), expected="a reference and a plan", found=f"{type(error).__name__}: {error}"[:120],
                            fix="Export it again.") from error
    why = str(life.get("faults_only", ""))
    if rows is not None:
        newer, why = measured(artifact, rows, plan)
        known = newer if known is None else replace(newer, lives=known.lives, ways=known.ways, usual_gap=known.usual_gap,
                                                           calendar=known.calendar)
    assert known is not None
    for group in plan.harm.groups:
        if not why and not any(stream.startswith(f"{group}=") for stream in known.groups):
            raise DeploymentError("harm.groups", expected=f"the losses of the artefact by {group!r}", found="none",
                                  fix="Give rows whose truth is known (--rows FILE), or name the group in the spec (life.harm.groups) and export again.")
    return Known(artifact, stretched(known, window / plan.harm.window), plan, why)


def measured(artifact: Artifact, rows: Any, plan: Plan) -> tuple[Reference, str]:
    """A reference from rows with their truth. Raises: DataError where they say nothing of its losses."""
    path = Path(rows) if isinstance(rows, (str, Path)) else None
    parts = open_source(Data(path=str(path.resolve()) if path else ""), object=None if path else rows)
    task = spec_of(artifact).get("task", {})
    target = task.get("target", ()) if isinstance(task, dict) else ()
    found, why = reference(Predictor(artifact), next(iter(parts.values())), (target,) if isinstance(target, str) else tuple(target), plan.harm.groups)
    if why:
        raise DataError(str(rows)[:100] if path else "rows", expected="rows with every input and what is true of them", found=why,
                        fix=f"Give a table with the columns {', '.join(artifact.schema.inputs)} and {target or 'the target'}.")
    return found, why


def spec_of(artifact: Artifact) -> dict[str, Any]:
    """The spec from which it can be made again."""
    found = artifact.life.get("spec") or read_yaml(artifact.read("spec.yaml").decode(), "spec.yaml").data
    return found if isinstance(found, dict) else {}


def facts(deployment: Deployment, known: Known) -> dict[str, Any]:
    """What the ledger says of a version when it becomes known; what is long is kept as evidence."""
    life, now = known.artifact.life, deployment.clock()
    return {"reference": deployment.evidence.keep_data(known.reference.plain()), "spec": deployment.evidence.keep_data(spec_of(known.artifact)),
            "trained": min(float(life.get("trained") or now), now), "snapshot": str(life.get("snapshot", "")), "faults_only": known.faults_only}


def read_plan(path: Path | str) -> Plan:
    """A plan from its YAML file. Raises: DeploymentError where there is none; SpecError naming the line."""
    path = Path(path)
    if not path.is_file():
        raise DeploymentError(str(path), expected="the file of a plan", found="nothing there", fix="Leave --plan out, or write one: see docs/guide/life.md.")
    return validate(Plan, Document({}, str(path)) if not (text := path.read_text("utf-8")).strip() else read_yaml(text, str(path)))


def content_steps(name: str, shown: Gates, from_: Standing) -> list[Step]:
    """The steps of a version from a standing to CANDIDATE."""
    places: tuple[Standing, ...] = ("DRAFT", *CONTENT)
    way: list[Step] = [(name, to, {gate: shown[gate] for gate in GATES[before, to]}) for before, to in zip(places, CONTENT, strict=False)]
    return way[places.index(from_) :]


def _way(now: Standings, name: str, shown: Gates) -> list[Step]:
    """To CANDIDATE; and on to CHAMPION where nobody answers."""
    way = content_steps(name, shown, "DRAFT")
    if now.champion or "loads" not in shown:
        return way
    if now.beside:
        way.append((now.beside, "CANDIDATE", {"cause": Gate(True, f"nobody answers, and version {name} takes the place")}))
    way.append((name, "SHADOW", {gate: shown[gate] for gate in GATES["CANDIDATE", "SHADOW"]}))
    return [*way, (name, "CANARY", gates.nobody(GATES["SHADOW", "CANARY"])), *handover(now, name, gates.nobody(GATES["CANARY", "CHAMPION"]))]


def _place(what: Path) -> dict[str, Any]:
    """Where the run is, and what relative paths of its spec start at, as far as this machine knows."""
    for run in (what, what.parent):
        if (run / "data.json").is_file() and (run / "spec.yaml").is_file():
            from thuja.run import Run

            return {"run": str(run.resolve()), "base": Run.open(run).read("data.json")["base"]}
    return {}


def _refuse_plan(deployment: Deployment, typed: Plan | None, settled: Plan) -> None:
    """Raises: DeploymentError for another plan than the one there is, and for one whose end is over."""
    if typed is not None and typed != settled:
        raise DeploymentError(str(deployment.path), expected="the plan that this deployment has", found="another one",
                              fix=f"Change its {PLAN}, or leave --plan out.")
    if (deployment.path / PLAN).exists() and any(event.kind == "ended" for event in deployment.ledger.events()):
        raise DeploymentError(str(deployment.path), expected="a deployment that has not ended", found="one that has",
                              fix=f"Name another folder; see `thuja timeline {deployment.path}`.")
    if ended(settled, deployment.clock()):
        raise DeploymentError(str(deployment.path), expected="a deployment that may still answer", found=ending(settled, deployment.clock()),
                              fix="Change `ends` in its plan, if that may be changed.")


def _refuse_twin(standings: Standings, artifact: Artifact) -> None:
    twins = [version for version in standings.versions.values() if version.digest == artifact.digest and version.standing not in GONE]
    if twins:
        raise DeploymentError(str(artifact.path), expected="an artefact that is not deployed yet", found=f"version {twins[0].name} ({twins[0].standing})",
                              fix=f"See `thuja timeline --version {twins[0].name}`.")
