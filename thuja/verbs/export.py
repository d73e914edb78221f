"""From a Run to an Artifact: programs as ONNX, everything a server needs beside them, and the certificate without which nothing is written."""

import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from thuja.apps import CODECS
from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import STEP, Arrays, Codec, Columns, Conversational, Rows, count, end_to_end, rectangular, take
from thuja.core.digest import canonical, of_data
from thuja.core.errors import BadRows, ParityError
from thuja.data.rows import Subset
from thuja.data.split import times_of
from thuja.fields import Audio, Image, Mask, Molecule, Ranking, Schema
from thuja.graph.onnxwrite import to_onnx
from thuja.graph.quantise import quantise
from thuja.metrics import METRICS, Outputs
from thuja.proof import certificate as proof
from thuja.proof.certificate import Agreement, Answers, Certificate, Judge, Probes
from thuja.proof.live import Ask, serving
from thuja.run import AGEING, SPEC, Run
from thuja.spec import TYPED, Spec, parse, plain
from thuja.task import Part, Program, Source, Task
from thuja.training import look
from thuja.training.checkpoint import load_model
from thuja.training.checkpoint import verify as verified_files
from thuja.training.nudge import nudged
from thuja.training.prepare import Opened, reopen_data
from thuja.verbs.reference import Origin, life, usual_gap
from thuja.vocabulary import Borrowed, BytePairs

Serving = Callable[[Path, Schema], AbstractContextManager[Ask]]
"""How a live server is started for the certificate."""

REFERENCE_ROWS = 2048
REFERENCE_FILES = 256
BATCH = 17
RUN_BATCH = 256
BRIEF = 32
"""Tokens of the longest answer that is compared."""
_SERVING = ("numpy", "onnxruntime", "pydantic", "click", "starlette", "uvicorn", "uvloop", "httptools", "msgspec", "prometheus-client", "jinja2",
            "python-multipart")
"""What `thuja serve` and `thuja verify` import, whatever the model."""


class Trained(NamedTuple):
    """What is exported: a trained task with the rows it was trained and tested on."""

    codec: Codec
    programs: dict[str, Program]
    train: Source
    """Training rows as a server will be asked."""
    test: Part
    outputs: Callable[[Columns, Arrays, Source], Outputs] | None
    """What metrics take, from what the judged program gave (`Task.outputs`); None where there is no target."""
    metrics: tuple[str, ...]
    """Computed again after quantisation."""
    files: dict[str, bytes]
    """What goes into the artefact as it is: spec.yaml, weights.safetensors, scores.json, card.md."""
    judged: str = "predict"
    """The program whose outputs are evaluated."""
    asked: Source | None = None
    """Rows of the test part as a server will be asked (`Task.served`); None: those of the part itself."""
    origin: Origin | None = None
    """Where it comes from, for its life after deployment; None: the artefact says nothing of it."""


class Options(NamedTuple):
    """How it is exported."""

    tolerance: float = 1e-4
    int8: bool = False
    kinds: Mapping[str, str] = CODECS
    serving: Serving = serving


class Compared(NamedTuple):
    """What training, artefact and server are compared on."""

    made_up: Probes
    real: Probes
    answers: Answers
    """Training's, to the made-up ones first."""
    judge: Judge
    unsettled: int
    """Left out."""


def export(run: Run, *, out: Path | None = None, int8: bool | None = None, data: Any = None) -> Artifact:
    """The artefact of a run, with its certificate, at `out` (`artifact` in the run's folder when left out).

    Args:
        int8: store the weights in 8 bits; what the spec says when left out.
        data: the rows as a Python object, for a run that was trained on one.
    Raises: ParityError naming the probe, what was expected and what was found, when training code, artefact and live server disagree; DataError when the
    rows the run began with are gone. Nothing new is at `out` then.
    """
    spec = parse(run.spec_data(), str(run.path / SPEC))
    options = Options(spec.export.tolerance, spec.export.int8 if int8 is None else int8)
    return package(trained_of(run, data), out or run.path / "artifact", options)


def trained_of(run: Run, data: Any = None) -> Trained:
    """What is exported of a run: its best weights with the rows it began with. Raises: DataError when those are gone."""
    spec = parse(run.spec_data(), str(run.path / SPEC))
    codec = run.codec()
    model = spec.task.build(codec)
    weights = run.best_checkpoint()
    load_model(weights, model)
    opened = reopen_data(run, spec, codec, data)
    tested = next(name for name in ("test", "validation", "train") if name in opened.sources and len(opened.encoded[name].kept))
    files = {"spec.yaml": (run.path / SPEC).read_bytes(), "weights.safetensors": verified_files(weights)["model.safetensors"],
             "scores.json": canonical(run.read("scores.json") if (run.path / "scores.json").is_file() else {}),
             "card.md": _card(run, codec)}
    known, test = (Part(Subset(opened.sources[name], opened.encoded[name].kept), opened.encoded[name].columns) for name in ("train", tested))
    return Trained(
        codec, {name: program for name, program in spec.task.programs(model.eval(), codec).items() if program.exported},
        spec.task.served(model, codec, known), test, _judge(spec.task, codec) if spec.task.targets else None, spec.task.metrics(codec), files,
        spec.task.judged, spec.task.served(model, codec, test), _origin(run, spec, codec, opened))


def _origin(run: Run, spec: Spec[Any], codec: Codec, opened: Opened) -> Origin:
    """What `life.json` says of a run beside its answers."""
    data, reasons = run.read("data.json"), run.read("reasons.json")
    settled = plain(spec)
    blank = {name.removeprefix("train."): "auto" for name, (_, reason) in reasons.items() if name.startswith("train.") and reason != TYPED}
    again = settled | {"train": settled["train"] | {name: value for name, value in blank.items() if name in settled["train"]}}
    begun = [record for record in run.records() if record.get("event") == "begin"]
    lasted = max((record["seconds"] for record in run.records() if "seconds" in record), default=0.0)
    how, newest = spec.data.split, list(opened.sources.values())[-1]
    column = how.column if how != "auto" and how.kind == "time" else ""
    dated = column in newest.names and newest.kinds[column] == "time"
    answers = spec.task.judged == "predict" or any(isinstance(field, Ranking) for field in codec.schema().outputs.values())
    checks = {"ran": spec.check.enabled, "found": [finding["check"] for finding in data["findings"]], "waived": data["waived"]}
    return Origin(spec.life, spec.task.targets, answers, again, float(begun[-1]["time"] + lasted - begun[-1]["seconds"]) if begun else 0.0,
                  of_data(data["fingerprints"]), dated, usual_gap(times_of(newest, column)) if dated else 0.0, checks,
                  run.read(AGEING) if (run.path / AGEING).is_file() else None)


def _judge(task: Task, codec: Codec) -> Callable[[Columns, Arrays, Source], Outputs]:
    return lambda columns, arrays, source: task.outputs(codec, columns, arrays, source)


def _card(run: Run, codec: Codec) -> bytes:
    path = run.path / "card.md"
    return path.read_bytes() if path.is_file() else "\n".join(["Not evaluated yet: run `thuja evaluate`.", *codec.cautions(), ""]).encode()


def package(trained: Trained, out: Path, options: Options) -> Artifact:
    """Write an artefact at `out`, unless training code, artefact and live server disagree.

    Raises: ParityError naming the probe, what was expected and what was found; StorageError. Nothing new is at `out` then.
    """
    schema = trained.codec.schema()
    made_up, real, answers, judge, unsettled = _compared(trained, schema, options.tolerance)
    probes = proof.joined(made_up, real)
    files = {
        **trained.files,
        **{f"{name}{folder.PROGRAM}": data for name, data in _programs(trained, trained.codec.encode(probes.take(np.arange(2)))).items()},
        "codec.json": trained.codec.dumps(),
        "schema.json": canonical(schema.model_dump(mode="json")),
        "reference.json": canonical(_reference(trained, schema)),
        "requirements.txt": requirements(trained.codec).encode(),
        "certificate.json": canonical({}),
    }
    with tempfile.TemporaryDirectory(prefix="thuja-export-") as place:
        draft = _draft(Path(place) / "float32", files, trained.codec.kind, options)
        _compare_programs(trained, Predictor(draft), options.tolerance)
        change = None
        if options.int8:
            files |= {f"{name}{folder.PROGRAM}": quantise(files[f"{name}{folder.PROGRAM}"], [buffer.cpu().numpy() for buffer in program.module.buffers()])
                      for name, program in trained.programs.items()}
            proof.replay("artifact", proof.asking(Predictor(draft)), probes, answers, judge)
            exact, draft = draft, _draft(Path(place) / "int8", files, trained.codec.kind, options)
            answers, change = _quantised(trained, Predictor(exact), Predictor(draft), probes, answers)
            files["card.md"] += _said(change).encode()
        measured = witnesses(draft, probes, answers, judge, options.serving)
        if trained.origin is not None:
            files[folder.LIFE] = canonical(life(Predictor(draft), trained.test.source, trained.origin))
    rows, stored = proof.stored(schema, made_up, answers)
    certificate = Certificate(
        tolerance=options.tolerance, units=judge.units, ids=made_up.ids[:stored], rows=rows, real_rows=len(real.ids), unsettled=unsettled, int8=change,
        answers={name: values[:stored] for name, values in answers.items()}, measured=measured, versions=_versions())
    files["certificate.json"] = canonical(certificate.model_dump(mode="json"))
    folder.write(out, files, kind=trained.codec.kind)
    return Artifact.open(out, options.kinds)


def _compared(trained: Trained, schema: Schema, tolerance: float) -> Compared:
    """Made-up rows and rows of the test part; fewer, and asked briefly, where an answer is made step by step."""
    codec, stepped = trained.codec, STEP in trained.programs
    most = proof.STEPPED if stepped else proof.PROBES
    real = _usable(codec, _briefly(codec, _real(trained, schema, most // 2)))
    made_up = _usable(codec, _briefly(codec, proof.made_up(schema, most - len(real.ids))))
    columns = codec.encode(proof.joined(made_up, real).rows)
    answers = _answers(codec, trained.programs, columns)
    judge = Judge(schema.outputs, proof.units(schema, answers), tolerance)
    keep = _settled(trained, columns, answers, judge) if stepped else np.arange(count(columns))
    first = len(made_up.ids)
    return Compared(made_up.chosen(keep[keep < first]), real.chosen(keep[keep >= first] - first), {name: [values[i] for i in keep] for name, values in
                    answers.items()}, judge, count(columns) - len(keep))


def _briefly(codec: Codec, probes: Probes) -> Probes:
    """Answers of a model that talks end soon, and every second one is the likeliest, whatever was asked."""
    rows = probes.rows
    if isinstance(codec, Conversational) and "max_tokens" in rows:
        rows = {**rows, "max_tokens": [min(value or BRIEF, BRIEF) for value in rows["max_tokens"]]}
    if isinstance(codec, Conversational) and "temperature" in rows:
        rows = {**rows, "temperature": [0.0 if i % 2 else value for i, value in enumerate(rows["temperature"])]}
    return Probes(probes.ids, rows)


def _answers(codec: Codec, programs: Mapping[str, Program], columns: Columns) -> Answers:
    """What training answers, as a client would see it."""
    return proof.plain(codec.schema(), codec.decode(look.answers(programs, columns, rows=BATCH)))


def _settled(trained: Trained, columns: Columns, answers: Answers, judge: Judge) -> np.ndarray:
    """Which rows have an answer, made step by step, that stays when the weights are moved by less than matters. Raises: ParityError where not half have."""
    rows = count(columns)
    settled = np.ones(rows, bool)
    for programs in nudged(trained.programs):
        found = _answers(trained.codec, programs, columns)
        for i in range(rows):
            distances = judge.differences({name: values[i] for name, values in answers.items()}, {name: values[i] for name, values in found.items()})
            settled[i] &= all(distance < np.inf for distance in distances.values())
    if settled.sum() < rows / 2:
        raise ParityError("training", expected="answers that stay when weights move by a hundred-thousandth", found=f"{rows - settled.sum()} of {rows} change",
                          fix="Train longer, or at a lower rate: no two machines would give the same answers.")
    return np.flatnonzero(settled)


def witnesses(draft: Artifact, probes: Probes, answers: Answers, judge: Judge, serve: Serving) -> list[Agreement]:
    """Ask the artefact here and behind a live server. Raises: ParityError."""
    found = [proof.replay("artifact", proof.asking(Predictor(draft)), probes, answers, judge)]
    with serve(draft.path, draft.schema) as ask:
        found.append(proof.replay("server", ask, probes, answers, judge, short=True))
    return found


def _programs(trained: Trained, columns: Columns) -> dict[str, bytes]:
    """Every program as ONNX: "predict" traced on two rows of `columns`, "step" on the state that follows, all others on rows of the test part."""
    found, programs = {}, trained.programs
    with torch.inference_mode():
        for name, program in programs.items():
            if name == STEP:
                first = look.run(programs["predict"], rectangular(columns))
                example = first | look.run(program, first)
            else:
                example = rectangular(columns if name == "predict" else take(trained.test.columns, np.arange(min(2, count(trained.test.columns)))))
            found[name] = to_onnx(program, example)
    return found


def requirements(codec: Codec) -> str:
    """A pip requirements file with exactly what serving with this codec needs, at the versions that were compared."""
    names, schema = list(_SERVING), codec.schema()
    names += ["tokenizers"] if any(isinstance(getattr(codec, name), (BytePairs, Borrowed)) for name in type(codec).model_fields) else []
    names += ["pillow"] if any(isinstance(field, Image) for field in schema.inputs.values()) else []
    names += ["rdkit"] if any(isinstance(field, Molecule) for field in schema.inputs.values()) else []
    names += ["scipy"] if any(isinstance(field, Mask) and field.instances for field in schema.outputs.values()) else []
    names += ["soundfile", "soxr"] if any(isinstance(field, Audio) for field in schema.inputs.values()) else []
    return "".join(f"{name}=={importlib.metadata.version(name)}\n" for name in sorted(names))


def _draft(path: Path, files: Mapping[str, bytes], kind: str, options: Options) -> Artifact:
    folder.write(path, files, kind=kind)
    return Artifact.open(path, options.kinds)


def _usable(codec: Codec, probes: Probes) -> Probes:
    """Without the rows that the codec refuses: a refused row has no answer to compare."""
    try:
        codec.encode(probes.rows)
    except BadRows as error:
        good = np.array([i for i in range(len(probes.ids)) if i not in error.rows], np.int64)
        return Probes([probes.ids[i] for i in good], probes.take(good))
    return probes


def _real(trained: Trained, schema: Schema, most: int) -> Probes:
    """Test rows as a server is asked, spread evenly."""
    source = trained.asked or trained.test.source
    index = np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64))
    rows = source.take(index)
    return Probes(source.ids(index), {name: list(rows[name]) for name in schema.inputs})


def _compare_programs(trained: Trained, predictor: Predictor, tolerance: float) -> None:
    """The other programs, which no server asks, agree with training array by array on rows of the test part."""
    columns = take(trained.test.columns, np.arange(min(2 * BATCH, count(trained.test.columns))))
    for name in trained.programs:
        if name in ("predict", STEP):
            continue
        expected, found = look.answers(trained.programs, columns, name), predictor.run(columns, name)
        for output, array in expected.items():
            far = ~np.isclose(found[output], array, rtol=tolerance, atol=tolerance)
            if far.any():
                row = int(np.argwhere(far)[0][0])
                raise ParityError(f"program {name}: {output}[{row}]", expected=f"{array[row]} within {tolerance:g}, as training answered",
                                  found=str(found[output][row]), fix="Export it again, and report this as a defect.")


def _quantised(trained: Trained, exact: Predictor, packed: Predictor, probes: Probes, answers: Answers) -> tuple[Answers, dict[str, Any]]:
    """The int8 artefact's own answers, and what quantisation has changed: probes, decisions, and every metric on the test rows."""
    found = proof.asking(packed)(probes.rows)
    judge = Judge(packed.schema.outputs, proof.units(packed.schema, answers), np.inf)
    distances = [judge.differences({n: v[i] for n, v in answers.items()}, {n: v[i] for n, v in found.items()}) for i in range(len(probes.ids))]
    finite = [d for row in distances for d in row.values() if 0 <= d < np.inf]
    changed = sum(any(d == np.inf or d < 0 for d in row.values()) for row in distances)
    before, after = _metrics(trained, exact), _metrics(trained, packed)
    metrics = {name: {"float32": before[name], "int8": after[name], "change": after[name] - before[name]} for name in before if np.isfinite(before[name])}
    return found, {"largest": max(finite, default=0.0), "decisions_changed": changed, "probes": len(probes.ids), "metrics": metrics,
                   "test_rows": len(trained.test.source)}


def _said(change: dict[str, Any]) -> str:
    """What the card says of quantisation: its figures above are those of the full weights."""
    lines = [f"| {name} | {m['float32']:.4f} | {m['int8']:.4f} | {m['change']:+.4f} |" for name, m in change["metrics"].items()]
    end = f"{change['decisions_changed']} of {change['probes']} probes are decided otherwise; the largest change of a number is {change['largest']:.2g}."
    return "\n".join(["\n## Weights in 8 bits", f"The figures above are those of the full weights. On {change['test_rows']} test rows:\n",
                      "| metric | float32 | int8 | change |", "|---|---|---|---|", *lines, f"\n{end}\n"])


def _metrics(trained: Trained, predictor: Predictor) -> dict[str, float]:
    columns = trained.test.columns
    if trained.outputs is None or trained.judged not in predictor.sessions:
        return {}
    rows = count(columns)
    batches = (take(columns, np.arange(start, min(start + RUN_BATCH, rows))) for start in range(0, rows, RUN_BATCH))
    parts = [predictor.answer(b) if trained.judged == "predict" else predictor.run(b, trained.judged) for b in batches]
    outputs = trained.outputs(columns, {name: end_to_end([p[name] for p in parts]) for name in parts[0]}, trained.test.source)
    return {name: float(METRICS[name].value(outputs, None)) for name in trained.metrics}


def _reference(trained: Trained, schema: Schema) -> dict[str, Any]:
    """A summary of every field over a sample of the training rows, spread evenly, and of what the network answers to them."""
    slow = STEP in trained.programs or any(isinstance(field, (Audio, Image)) for field in schema.inputs.values())
    most = REFERENCE_FILES if slow else REFERENCE_ROWS
    index = np.unique(np.linspace(0, len(trained.train) - 1, min(len(trained.train), most)).astype(np.int64))
    taken: Rows = trained.train.take(index)
    rows = _usable(trained.codec, Probes(trained.train.ids(index), {name: list(taken[name]) for name in schema.inputs})).rows
    outputs = trained.codec.decode(look.answers(trained.programs, trained.codec.encode(rows), rows=RUN_BATCH if slow else BATCH))
    return {"inputs": {name: field.summarise(rows[name]) for name, field in schema.inputs.items()},
            "outputs": {name: field.summarise(outputs[name]) for name, field in schema.outputs.items()}}


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("thuja", "torch", "onnx", "onnxruntime", "numpy")}
