"""The Spec: what is learned, from which rows, how. Read from YAML with line numbers, settled before step one, written back whole."""

import importlib
import importlib.metadata
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import BaseModel, Discriminator, SerializeAsAny

from thuja.apps import TASKS
from thuja.codec import Codec
from thuja.core.document import Document, override, read_yaml, validate
from thuja.core.errors import SpecError, did_you_mean
from thuja.life.plan import Plan
from thuja.settings import AdamW, Check, Data, Evaluate, Export, Section, Train
from thuja.task import Choice, Facts, Task

T = TypeVar("T", bound=Task)
SPEC_NAME = "thuja.yaml"
TYPED = "typed in the spec"
"""The reason of a value that nobody had to settle."""
LIFE = "# life: {}  # Once it is in service: what is watched, when it is renewed, what may happen by itself (docs/reference/spec.md).\n"
"""What stands in a written spec for a plan that nobody has touched."""


class Spec(Section, Generic[T]):
    """Everything that decides a run. Frozen: `spec.model_copy(update=...)` makes another."""

    thuja: Literal[1] = 1
    """Version of this format."""
    task: SerializeAsAny[T]
    """What is learned."""
    parent: str = ""
    """The folder of a run or an artefact, relative to the spec: go on from its weights and its vocabulary. Empty: from fresh weights."""
    data: Data = Data()
    check: Check = Check()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    export: Export = Export()
    life: Plan = Plan()
    """What is watched once it is in service, when it is renewed, and what may happen by itself."""


def task_class(kind: str, where: str = "task.kind") -> type[Task]:
    """The class behind a short id: ours, or an installed entry point in the group `thuja.tasks`. Raises: SpecError with the nearest known word."""
    plugins = {e.name: e for e in importlib.metadata.entry_points(group="thuja.tasks")}
    if kind in TASKS:
        module, _, name = TASKS[kind].partition(":")
        found: type[Task] = getattr(importlib.import_module(module), name)
        return found
    if kind in plugins:
        loaded: type[Task] = plugins[kind].load()
        return loaded
    raise SpecError(where, expected="a known kind of task", found=repr(kind), fix=did_you_mean(kind, [*TASKS, *plugins]))


def from_document(document: Document) -> "Spec[Any]":
    """A spec from plain data with lines. Raises: SpecError."""
    task = document.data.get("task")
    if not isinstance(task, dict) or not isinstance(task.get("kind"), str):
        found = repr(task.get("kind")) if isinstance(task, dict) and "kind" in task else "nothing"
        raise SpecError(document.where(("task",)), expected="a kind of task", found=found, fix=f"Write `kind:` and one of {', '.join(sorted(TASKS))}.")
    spec_class: type[Spec[Any]] = Spec.__class_getitem__(task_class(task["kind"], document.where(("task", "kind"))))  # type: ignore[assignment]
    return validate(spec_class, document)


def read(path: Path | str, overrides: Sequence[str] = ()) -> "Spec[Any]":
    """Read a spec file and apply `a.b=value` overrides.

    Raises: SpecError naming file and line.
    """
    path = Path(path)
    if path.is_dir():
        path = path / SPEC_NAME
    if not path.is_file():
        raise SpecError(str(path), expected="a spec file", found="nothing there", fix="Write one with `thuja init DATA`.")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}, byte {error.start}", expected="UTF-8 text", found="another encoding", fix="Save the file as UTF-8.") from error
    return read_text(text, str(path), overrides)


def read_text(text: str, name: str = "spec", overrides: Sequence[str] = ()) -> "Spec[Any]":
    """Read a spec from YAML text; `name` is what errors call it. Raises: SpecError naming the line."""
    return from_document(override(read_yaml(text, name), overrides))


def parse(data: dict[str, Any], name: str = "spec") -> "Spec[Any]":
    """A spec from plain data (a dict in Python, a saved run). Raises: SpecError."""
    return from_document(Document(data, name))


def plain(spec: "Spec[Any]") -> dict[str, Any]:
    """The spec as plain data that `parse` reads back to an equal spec."""
    data: dict[str, Any] = spec.model_dump(mode="json")
    return data


def dumps(spec: "Spec[Any]", *, comments: bool = False) -> str:
    """The spec as YAML; with `comments`, every key is explained above it. A plan for the life after deployment that nobody has touched is left out."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    def quoted(value: Any) -> Any:
        """Text with characters that YAML folds or forbids in plain style, escaped; lists and tables likewise."""
        if isinstance(value, dict):
            return {quoted(key): quoted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [quoted(item) for item in value]
        return DoubleQuotedScalarString(value) if isinstance(value, str) and not value.isprintable() else value

    def explained(model: Any, value: dict[str, Any], indent: int) -> CommentedMap:
        out = CommentedMap()
        for key, item in value.items():
            child = getattr(model, key, None)
            out[key] = explained(child, item, indent + 2) if isinstance(item, dict) and isinstance(child, BaseModel) else quoted(item)
            field = type(model).model_fields.get(key)
            if field is not None and field.description and comments:
                out.yaml_set_comment_before_after_key(key, before=" ".join(field.description.split()), indent=indent)
        return out

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 150
    text = io.StringIO()
    usual = spec.life == Plan()
    yaml.dump(explained(spec, {name: value for name, value in plain(spec).items() if not (usual and name == "life")}, 0), text)
    return text.getvalue() + (LIFE if usual and comments else "")


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec file, for editors."""
    union = Union[tuple(task_class(kind) for kind in TASKS)]  # type: ignore[valid-type]  # noqa: UP007  # made at run time
    schema: dict[str, Any] = Spec[Annotated[union, Discriminator("kind")]].model_json_schema()  # type: ignore[valid-type]
    return schema | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Thuja spec"}


def facts(train: Train, rows: int) -> Facts:
    """What is known before step one, here and now. Raises: SpecError for a device that this machine has not."""
    import torch

    device = train.device if train.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *(["mps"] if torch.backends.mps.is_available() else [])]
    if device not in (*there, "cuda" if len(there) > 1 and "cuda:0" in there else "cpu"):
        raise SpecError("train.device", expected=f"one of {', '.join(there)}", found=repr(device), fix="Choose one that is here, or leave it at auto.")
    return Facts(rows, _cores(), device, train.budget, None if train.steps == "auto" else train.steps)


def _cores() -> int:
    """Cores that this process may use, no more than OMP_NUM_THREADS says."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(there, int(told)) if told.isdecimal() and int(told) else there


def settle(spec: "Spec[Any]", codec: Codec, known: Facts) -> tuple["Spec[Any]", dict[str, Choice]]:
    """Fill every blank of the training section, with its reason; a typed value is never touched.

    Pure: equal arguments give equal results. `train.steps` stays "auto" where only a budget is given: `train` times it before step one.
    """
    chosen = _defaults(spec.train, known) | spec.task.choices(codec, known)
    values: dict[str, Any] = {}
    reasons: dict[str, Choice] = {}
    for name in type(spec.train).model_fields:
        typed = getattr(spec.train, name)
        choice = chosen.get(f"train.{name}")
        if typed == "auto" and choice is not None and not (name == "steps" and spec.train.epochs is not None):
            values[name], reasons[f"train.{name}"] = choice.value, choice
        elif typed != type(spec.train).model_fields[name].default:
            reasons[f"train.{name}"] = Choice(typed, TYPED)
    train = spec.train.model_copy(update=values)
    if train.steps == "auto" and (train.epochs is not None or train.budget is None):
        assert isinstance(train.batch, int)
        epochs = train.epochs or 10.0
        steps = max(1, round(epochs * known.rows / train.batch))
        train = train.model_copy(update={"steps": steps})
        reasons["train.steps"] = Choice(steps, f"{epochs:g} epochs of {known.rows} rows in batches of {train.batch}")
    if isinstance(train.steps, int):
        looks = {"evaluate_every": (20, "about 20 looks"), "save_every": (20, "about 20 checkpoints")}
        for name, (parts, why) in looks.items():
            if getattr(train, name) == "auto":
                every = max(1, train.steps // parts)
                train = train.model_copy(update={name: every})
                reasons[f"train.{name}"] = Choice(every, f"{why} in {train.steps} steps")
    return spec.model_copy(update={"train": train}), reasons


def _defaults(train: Train, known: Facts) -> dict[str, Choice]:
    batch = min(256, max(8, 2 ** (max(known.rows, 1) // 50).bit_length()))
    fast = known.device.startswith("cuda")
    return {
        "train.batch": Choice(min(batch, known.rows), f"about 50 to 100 steps an epoch of {known.rows} rows, at most 256 rows"),
        "train.optimizer": Choice(AdamW(), "AdamW with its usual settings suits most networks"),
        "train.schedule": Choice("linear", "linear decay to zero is the best simple schedule when the horizon is known"),
        "train.warmup": Choice(0.05, "a short rise keeps the first steps stable"),
        "train.ema": Choice(0.0, "no moving average unless the task asks for one"),
        "train.precision": Choice("bfloat16" if fast else "float32",
                                  "bfloat16 pays on this accelerator" if fast else "on most CPUs bfloat16 gains nothing; a longer run measures it"),
        "train.compile": Choice(False, "compiling takes some 20 s; only a run of many minutes on a CPU measures whether it pays"),
        "train.threads": Choice(known.cores, "all cores that this process may use; a longer run on a CPU measures whether fewer are faster"),
        "train.device": Choice(known.device, "an accelerator was found" if known.device != "cpu" else "no accelerator was found"),
    }
