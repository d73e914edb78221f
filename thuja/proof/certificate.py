"""The proof that training code, artefact and live server decide alike on the same raw input, and its replay anywhere, without torch.

A probe is a raw row. Training's answer to it is compared with the answer of another way of asking, value by value and as typed values (what a user
sees): numbers within the tolerance, decisions equal unless the two best scores are closer than the tolerance. Every probe is asked alone, among two
others, among sixteen, and among sixteen strangers, so that a row whose answer depends on its neighbours is found too.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from thuja.apps import CODECS
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError, DataError, ParityError
from thuja.core.seeds import stream
from thuja.fields import AnyField, Boxes, Category, Image, Labels, Mask, Number, Ranking, Schema, Scores, Text
from thuja.proof.live import Ask, serving

PROBES = 208
STEPPED = 64
"""Probes where answers are made step by step: one costs as much as tens of others."""
STORED_BYTES = 256 << 10
STORED_LEAST = 8
CHOSEN_BY = "log_probability"
"""The output that says by what a text was chosen among others."""
SIZES = (1, 3, 17)
LEVELS = 1
"""Of 256, by which a pixel of two pictures may differ: numbers that are equal within the tolerance round to neighbours."""

Answers = dict[str, list[Any]]
"""Typed answers as plain JSON data, by output name, one per row."""


class Probes(NamedTuple):
    """Raw rows with a name each."""

    ids: list[str]
    rows: dict[str, list[Any]]

    def take(self, index: np.ndarray) -> dict[str, list[Any]]:
        """The raw rows at `index`."""
        return {name: [values[i] for i in index] for name, values in self.rows.items()}

    def chosen(self, index: np.ndarray) -> "Probes":
        """The probes at `index`."""
        return Probes([self.ids[i] for i in index], self.take(index))


class Agreement(BaseModel):
    """What one way of asking has shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: str
    """"artifact" (onnxruntime in this process) or "server" (over HTTP)."""
    probes: int
    answers: int
    """Rows answered and compared: each probe several times, in different company."""
    largest: float
    """Largest difference of a number, in units of the output (1 for scores, the spread of training's answers for other numbers)."""
    near_ties: int
    """Decisions that differ because the two best scores are closer than the tolerance."""

    def __str__(self) -> str:
        ties = f", {self.near_ties} near ties" if self.near_ties else ""
        return f"{self.way}: {self.probes} probes asked {self.answers} times in different company, largest difference {self.largest:.1e}{ties}"


class Certificate(BaseModel):
    """`certificate.json`: enough to replay the comparison without the training code, and what was measured at export.

    The probes kept here are made up by the fields: real rows are measured too, and counted in `measured`, but never leave the house.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: float
    units: dict[str, float]
    """What a difference of 1 means for each numeric output."""
    ids: list[str]
    rows: dict[str, list[Any]]
    """Probes as the server takes them, by input name."""
    answers: Answers
    """What the training code answered (for an int8 artefact: what its own program answered at export)."""
    measured: list[Agreement]
    """At export, over made-up and real rows."""
    real_rows: int
    unsettled: int = 0
    """Probes that were left out of all this because their answers, made step by step, hang on rounding: training itself answers otherwise when its weights are
    moved by a hundred-thousandth."""
    versions: dict[str, str]
    """Of the packages that were compared."""
    int8: dict[str, Any] | None = None
    """For a quantised artefact: every metric before and after, and how far its answers are from training's."""


class Verdict(NamedTuple):
    """A replay that found no difference beyond the tolerance."""

    digest: str
    tolerance: float
    agreements: tuple[Agreement, ...]


class Judge(NamedTuple):
    """Decides whether two answers to one row agree."""

    outputs: dict[str, AnyField]
    units: dict[str, float]
    tolerance: float

    def differences(self, expected: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
        """By output: how far apart, in units; infinite where values differ that must be equal, -1 for a near tie."""
        out: dict[str, float] = {}
        for name, field in self.outputs.items():
            if isinstance(field, Boxes):
                out[name] = field.apart(expected[name], found.get(name), self.tolerance)
                continue
            distance = _distance(expected[name], found.get(name), self.units.get(name, 1.0))
            if math.isinf(distance) and self._tie(field, name, expected, found):
                distance = -1.0
            out[name] = distance
        return out

    def _tie(self, field: AnyField, name: str, expected: dict[str, Any], found: dict[str, Any]) -> bool:
        """A category with, within the tolerance, the score of another; a text that was chosen with, within the tolerance, the same log-probability; a ranking
        in which only items of such scores have changed places; labels that differ by those alone whose score is that near to the threshold; a picture that is
        the same but for rounding;
        a mask that differs in next to no pixels."""
        first, second = expected[name], found.get(name)
        if isinstance(field, Labels) and isinstance(second, list) and field.threshold is not None:
            scores = [expected[other] for other, kind in self.outputs.items() if isinstance(kind, Scores)]
            return any(all(label in s and abs(s[label] - field.threshold) <= self.tolerance for label in {*first} ^ {*second}) for s in scores)
        if isinstance(field, Category):
            scores = [expected[other] for other, kind in self.outputs.items() if isinstance(kind, Scores)]
            return any(first in s and second in s and abs(s[first] - s[second]) <= self.tolerance for s in scores)
        if isinstance(field, Mask):
            return field.alike(first, second, self.tolerance)
        if isinstance(field, Ranking):
            return _same_but_for_ties(first, second, self.tolerance, self.units.get(name, 1.0))
        if isinstance(field, Image):
            return _same_but_for_rounding(field, first, second)
        if isinstance(field, Text) and isinstance(second, str) and CHOSEN_BY in self.outputs:
            return _distance(expected[CHOSEN_BY], found.get(CHOSEN_BY), 1.0) <= self.tolerance
        return False


def _distance(expected: Any, found: Any, unit: float) -> float:
    """The largest difference of two JSON values of one shape: numbers in units, everything else equal or infinitely far."""
    if _is_number(expected) and _is_number(found):
        return abs(expected - found) / max(unit, abs(expected)) if unit != 1.0 else float(abs(expected - found))
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return float(np.max([_distance(value, found[name], unit) for name, value in expected.items()], initial=0.0))  # keeps a NaN, unlike the built-in
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return float(np.max([_distance(one, other, unit) for one, other in zip(expected, found, strict=True)], initial=0.0))
    return 0.0 if expected == found else math.inf


def _same_but_for_ties(expected: Any, found: Any, tolerance: float, unit: float) -> bool:
    """Whether two rankings have, within the tolerance, the same score at every place, and every item the same score in both. An item that is in one of them
    alone must have, within the tolerance, the last score: it has changed places with one that lies just beyond the end."""
    if not isinstance(found, list) or len(found) != len(expected) or not expected:
        return False
    ours, theirs = ({entry["item"]: entry["score"] for entry in ranking} for ranking in (expected, found))
    ends = expected[-1]["score"], found[-1]["score"]
    pairs = [(one["score"], other["score"]) for one, other in zip(expected, found, strict=True)]
    pairs += [(ours.get(item, ends[0]), theirs.get(item, ends[1])) for item in ours | theirs]
    return all(_distance(one, other, unit) <= tolerance for one, other in pairs)


def _same_but_for_rounding(field: Image, expected: Any, found: Any) -> bool:
    """Whether two pictures, as base64, are of one shape and no pixel differs by more than `LEVELS`."""
    try:
        first, second = (field.decode(field.from_json(value, "picture"), "picture").astype(np.int16) for value in (expected, found))
    except DataError:
        return False
    return first.shape == second.shape and bool((np.abs(first - second) <= LEVELS).all())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a JSON value."""
    if _is_number(value):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


def units(schema: Schema, answers: Answers) -> dict[str, float]:
    """What a difference of 1 means: 1 for scores and for numbers between 0 and 1, else the standard deviation of all numbers in the answers."""
    found: dict[str, float] = {}
    for name, field in schema.outputs.items():
        values = [] if isinstance(field, Scores) else list(_numbers(answers[name]))
        if values:
            bounded = isinstance(field, Number) and field.lower is not None and field.lower >= 0 and field.upper is not None and field.upper <= 1
            found[name] = 1.0 if bounded else float(np.std(values)) or 1.0
    return found


def made_up(schema: Schema, count: int, seed: int = 0) -> Probes:
    """Rows of the fields' own fake values, the odd ones included: CMYK, EXIF rotation, empty text, emoji, missing cells."""
    rng = stream(seed, "certificate")
    return Probes([f"made-up {i}" for i in range(count)], {name: field.fake(rng, count) for name, field in schema.inputs.items()})


def joined(first: Probes, second: Probes) -> Probes:
    """Both, in that order."""
    return Probes(first.ids + second.ids, {name: [*values, *second.rows[name]] for name, values in first.rows.items()})


def asking(predictor: Predictor) -> Ask:
    """The artefact in onnxruntime as a way of asking."""
    return lambda rows: plain(predictor.schema, predictor.predict(rows))


def plain(schema: Schema, answers: Mapping[str, list[Any]]) -> Answers:
    """Typed answers as the JSON data that a client of the server would see."""
    return {name: [field.to_json(value) for value in answers[name]] for name, field in schema.outputs.items()}


def company(count: int, *, short: bool = False) -> Iterator[np.ndarray]:
    """Which probes are asked together: each alone, in threes, in seventeens, then seventeen strangers at a time; `short`: one pass in mixed sizes."""
    strangers = stream(0, "company").permutation(count)
    if short:
        at = 0
        while at < count:
            for size in SIZES:
                yield from ([strangers[at : at + size]] if at < count else [])
                at += size
        return
    for order, size in [*((np.arange(count), size) for size in SIZES), (strangers, SIZES[-1])]:
        for start in range(0, count, size):
            yield order[start : start + size]


def replay(way: str, ask: Ask, probes: Probes, expected: Answers, judge: Judge, *, short: bool = False) -> Agreement:
    """Ask every probe in different company and compare with what training answered.

    Raises: ParityError naming the probe, what was expected and what was found.
    """
    largest, ties, count = 0.0, 0, 0
    for index in company(len(probes.ids), short=short):
        found = ask(probes.take(index))
        for place, i in enumerate(index):
            one = {name: values[place] for name, values in found.items() if place < len(values)}
            right = {name: values[i] for name, values in expected.items()}
            for name, distance in judge.differences(right, one).items():
                if not distance <= judge.tolerance:
                    raise _disagreement((f"{way}: {probes.ids[i]}, {name}", len(index) - 1), right[name], one.get(name), judge.tolerance)
                ties += distance < 0
                largest = max(largest, distance)
            count += 1
    return Agreement(way=way, probes=len(probes.ids), answers=count, largest=largest, near_ties=ties)


def _disagreement(place: tuple[str, int], expected: Any, found: Any, tolerance: float) -> ParityError:
    where, others = place
    if isinstance(expected, dict) and isinstance(found, dict):
        name = max(expected, key=lambda n: abs(expected[n] - found.get(n, math.inf)))
        where, expected, found = f"{where}[{name}]", expected[name], found.get(name)
    within = f" within {tolerance:g}" if isinstance(expected, float) else ""
    return ParityError(f"{where} (asked with {others} others)", expected=f"{_short(expected)}{within}, as training answered", found=_short(found),
                       fix="Do not serve this artefact: it decides otherwise than what was trained and evaluated. Export it again.")


def _short(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)[:80]


def stored(schema: Schema, probes: Probes, answers: Answers) -> tuple[dict[str, list[Any]], int]:
    """The first probes as JSON data, as many as fit into the certificate, and how many they are."""
    rows: dict[str, list[Any]] = {name: [] for name in schema.inputs}
    size, count = 0, 0
    while count < len(probes.ids) and (size < STORED_BYTES or count < STORED_LEAST):
        for name, field in schema.inputs.items():
            rows[name].append(field.to_json(probes.rows[name][count]))
            size += len(canonical(rows[name][-1]))
        size += sum(len(canonical(values[count])) for values in answers.values())
        count += 1
    return rows, count


def verify(path: Path, kinds: Mapping[str, str] = CODECS, *, server: bool = True) -> Verdict:
    """Open an artefact, replay its certificate in onnxruntime here and, with `server`, behind a live server.

    Raises: ArtifactError for a folder that is not whole, ParityError naming the probe when an answer differs from training's.
    """
    artifact = Artifact.open(Path(path), kinds)
    certificate = read(artifact)
    probes = Probes(certificate.ids, {name: [field.from_json(value, f"certificate.json: rows.{name}[{i}]")
                                             for i, value in enumerate(certificate.rows[name])] for name, field in artifact.schema.inputs.items()})
    judge = Judge(artifact.schema.outputs, certificate.units, certificate.tolerance)
    agreements = [replay("artifact", asking(Predictor(artifact)), probes, certificate.answers, judge)]
    if server:
        with serving(artifact.path, artifact.schema) as ask:
            agreements.append(replay("server", ask, probes, certificate.answers, judge, short=True))
    return Verdict(artifact.digest, certificate.tolerance, tuple(agreements))


def read(artifact: Artifact) -> Certificate:
    """The certificate of an artefact. Raises: ArtifactError when it is not one, or does not fit the schema."""
    where = str(artifact.path / "certificate.json")
    try:
        certificate = Certificate.model_validate(artifact.certificate)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ArtifactError(where, expected="a certificate", found=f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:120],
                            fix="Export the artefact again.") from error
    lengths = {len(certificate.ids), *(len(certificate.rows.get(name, ())) for name in artifact.schema.inputs),
               *(len(certificate.answers.get(name, ())) for name in artifact.schema.outputs)}
    if lengths != {len(certificate.ids)} or not certificate.ids:
        raise ArtifactError(where, expected="a row and an answer for every probe", found="some without", fix="Export the artefact again.")
    return certificate
