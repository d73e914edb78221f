"""What is shown at the gates of a version's life, from evidence: what its artefact holds, and what it does on this machine. No torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thuja.artifact.folder import Artifact
from thuja.core.errors import ArtifactError, DataError, DeploymentError, did_you_mean
from thuja.fields import Schema
from thuja.life.states import Gate
from thuja.life.story import when
from thuja.proof.certificate import verify

NOT_EVALUATED = "Not evaluated yet"
Gates = dict[str, Gate]


def of_content(artifact: Artifact) -> Gates:
    """The gates from DRAFT to CANDIDATE: what the artefact says of how it came to be."""
    life, scores, card = artifact.life, artifact.scores, artifact.read("card.md").decode("utf-8", "replace")
    found = life.get("checks", {})
    checked = bool(found.get("ran"))
    waived = "; ".join(f"{name} waived: {why}" for name, why in found.get("waived", {}).items())
    snapshot = str(life.get("snapshot", ""))
    return {
        "finished": Gate(True, f"trained {when(life['trained'])}" if life.get("trained") else "its weights and its certificate are there"),
        "snapshot": Gate(bool(snapshot), f"data {snapshot[:12]}" if snapshot else "the artefact does not say which data it learned from"),
        "checks": Gate(checked, (waived or f"{len(found['found'])} findings, none of which blocks") if checked else "the data checks did not run"),
        "metrics": _metrics(scores),
        "parity": _parity(artifact.certificate),
        "ageing": _ageing(life),
        "card": Gate(bool(card.strip()) and not card.startswith(NOT_EVALUATED), "there" if not card.startswith(NOT_EVALUATED) else "not written yet"),
    }


def of_service(artifact: Artifact, champion: Artifact | None, kinds: Mapping[str, str]) -> Gates:
    """The gates from CANDIDATE to SHADOW: its certificate is replayed here, and whoever asks the champion can ask it."""
    try:
        agreement = verify(artifact.path, kinds, server=False).agreements[0]
        loads = Gate(True, f"{agreement.probes} probes of its certificate answered here, {agreement.largest:.2g} off at most")
    except (ArtifactError, DataError) as error:
        loads = Gate(False, str(error).rstrip("."))
    if champion is None:
        return {"loads": loads, "schema": Gate(True, "nobody answers yet")}
    differences = unlike(champion.schema, artifact.schema)
    return {"loads": loads, "schema": Gate(not differences, "; ".join(differences) or "as the champion's")}


def unlike(old: Schema, new: Schema) -> list[str]:
    """What would break whoever asks the old one: inputs that are new and needed, other kinds of fields, answers that are gone. Other names of a category are
    no difference: they are what newer rows have."""
    found = [f"needs {name!r}, which the champion is not sent" for name, field in new.inputs.items()
             if name not in old.inputs and not getattr(field, "missing", False)]
    found += [f"does not answer {name!r}" for name in old.outputs if name not in new.outputs]
    pairs = [(name, ours[name], theirs[name]) for ours, theirs in ((old.inputs, new.inputs), (old.outputs, new.outputs)) for name in ours if name in theirs]
    return found + [f"{name!r} is of kind {theirs.kind}, not {ours.kind}" for name, ours, theirs in pairs if ours.kind != theirs.kind]


def nobody(names: tuple[str, ...]) -> Gates:
    """Gates at which a version is compared with one that is not there."""
    return dict.fromkeys(names, Gate(True, "nobody answers yet"))


def with_waivers(gates: Gates, waive: Mapping[str, str]) -> Gates:
    """The gates with what a person lets pass, and why. Raises: DeploymentError for a gate that there is not, or an empty reason."""
    for name, why in waive.items():
        if name not in gates:
            raise DeploymentError(f"--waive {name}", expected="a gate of this step", found=repr(name), fix=did_you_mean(name, gates))
        if not why.strip():
            raise DeploymentError(f"--waive {name}", expected="a reason", found="nothing", fix=f"Say why: --waive {name}='...'.")
    return {name: gate._replace(waived=waive[name]) if name in waive and not gate.passed else gate for name, gate in gates.items()}


def refuse_shut(where: str, gates: Gates) -> None:
    """Raises: DeploymentError naming every gate that is shut, so that a person hears of all of them at once."""
    shut = {name: gate.found for name, gate in gates.items() if not gate.passed and not gate.waived}
    if shut:
        first = next(iter(shut))
        raise DeploymentError(where, expected=f"passed: {', '.join(shut)}", found="; ".join(f"{name}: {found}" for name, found in shut.items()),
                              fix=f"Mend it, or waive it with a reason: --waive {first}=why.")


def _metrics(scores: Mapping[str, Any]) -> Gate:
    goal = scores.get("goal", "")
    figure = scores.get("test", {}).get(goal) or next(iter(scores.get("test", {}).values()), None)
    if figure is None or figure.get("value") is None:
        return Gate(False, "not evaluated: run `thuja evaluate`, and export again")
    interval = "" if figure.get("low") is None else f" ({figure['low']:.4g} to {figure['high']:.4g})"
    advice = scores.get("recommendation") or {}
    return Gate(True, f"{goal or 'the first metric'} {figure['value']:.4g}{interval} on {scores.get('count', 0):,} rows. {advice.get('text', '')}".strip())


def _parity(certificate: Mapping[str, Any]) -> Gate:
    measured = certificate.get("measured", [])
    ways = {one["way"] for one in measured}
    if not {"artifact", "server"} <= ways:
        return Gate(False, "its certificate compares nothing with a live server")
    return Gate(True, f"training, artefact and server within {max(one['largest'] for one in measured):.2g} on {measured[0]['probes']} probes")


def _ageing(life: Mapping[str, Any]) -> Gate:
    if life.get("aged"):
        return Gate(True, "models like it were trained at past dates and watched")
    if not life:
        return Gate(False, "whether its rows have dates is not known")
    if life.get("dated"):
        return Gate(False, "its rows have dates, and nobody has looked how models like it age: `thuja age RUN`, then export again")
    return Gate(True, "its rows have no dates to age by")


def opened(place: Path, kinds: Mapping[str, str]) -> Artifact:
    """The artefact in a folder, or in the folder of the run that made it."""
    inside = place / "artifact"
    return Artifact.open(inside if not (place / "manifest.json").exists() and inside.is_dir() else place, kinds)
