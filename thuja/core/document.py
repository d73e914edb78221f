"""YAML as plain data that remembers its lines, and pydantic's complaints as four-part errors. A document is data: it can hold no tag, template, code
name or flood of aliases.
"""

import difflib
import io
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from thuja.core.errors import SpecError, did_you_mean

MAX_BYTES, MAX_DEPTH, MAX_ALIASES = 1_000_000, 30, 20
PLAIN_WORDS = {
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "float_parsing": "a number",
    "string_type": "text", "bool_type": "true or false", "bool_parsing": "true or false", "model_type": "a table of keys", "dict_type": "a table of keys",
    "tuple_type": "a list", "list_type": "a list",
}
Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Document:
    """Plain data, the name to call it by in errors, and the line of every key and item."""

    data: dict[str, Any]
    name: str = "spec"
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, path: Path) -> str:
        """`thuja.yaml:12 train.steps`, as near as is known."""
        dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        near = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        place = self.name if near is None else f"{self.name}:{near}" if near else "--set"
        return f"{place} {dotted}".strip()


def read_yaml(text: str, name: str) -> Document:
    """Read YAML 1.2.

    Raises: SpecError, with file and line, for bad syntax, a duplicate key, a tag, a template, too many aliases, too deep or too long a document,
    or one that is not a table of keys.
    """
    from ruamel.yaml import YAML  # 23 ms, wanted only where a document is read
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_BYTES:
        raise SpecError(name, expected=f"at most {MAX_BYTES} characters", found=str(len(text)), fix="A spec is a short file; is this the right one?")
    try:
        _refuse_tricks(YAML(typ="rt", pure=True), text, name)
        value = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        raise SpecError(f"{name}:{error.problem_mark.line + 1}", expected="each key once", found="a key written twice", fix="Delete one of them.") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(f"{name}:{mark.line + 1 if mark else 1}", expected="YAML", found=str(error.problem or error.context).replace("\n", " "),
                        fix="Check the indentation, the colons and the quotes near this line.") from error
    except YAMLError as error:
        raise SpecError(name, expected="YAML", found=str(error).splitlines()[0], fix="Save the file as UTF-8 text.") from error
    except ValueError as error:  # the reader takes `._` and `2000-13-40` for a number and a date, and then cannot make them
        line, word = _half_a_value(text)
        raise SpecError(f"{name}:{line}", expected="a word, a number or a date", found=repr(word)[:60], fix="Quote it if it is a word.") from error
    if not isinstance(value, dict):
        found = "nothing" if value is None else "a list or a plain value"
        raise SpecError(name, expected="a table of keys", found=found, fix="Write one with `thuja init DATA`.")
    lines: dict[Path, int] = {}
    return Document(_plain(value, (), lines, name), name, lines)


def _half_a_value(text: str) -> tuple[int, str]:
    """The line and the first scalar that looks like a number or a date and is none."""
    from ruamel.yaml import YAML

    for event in YAML(typ="rt", pure=True).parse(io.StringIO(text)):
        if type(event).__name__ == "ScalarEvent" and event.implicit[0]:
            try:
                YAML(typ="rt", pure=True).load(event.value)
            except ValueError:
                return event.start_mark.line + 1, str(event.value)
    return 1, text[:20]


def _refuse_tricks(yaml: Any, text: str, name: str) -> None:
    depth = aliases = 0
    for event in yaml.parse(io.StringIO(text)):
        kind, line = type(event).__name__, event.start_mark.line + 1
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        aliases += kind == "AliasEvent"
        if getattr(event, "tag", None) is not None and kind != "AliasEvent":
            raise SpecError(f"{name}:{line}", expected="plain data", found=f"the tag {str(event.tag)[:60]}", fix="Delete the tag: a spec cannot name code.")
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            raise SpecError(f"{name}:{line}", expected=f"at most {MAX_DEPTH} levels and {MAX_ALIASES} aliases", found="more", fix="Write the values out.")


def _plain(value: Any, path: Path, lines: dict[Path, int], name: str) -> Any:
    marks: Any = getattr(value, "lc", None)  # ruamel keeps the places of keys and items there
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise SpecError(f"{name}:{marks.key(key)[0] + 1}", expected="keys that are words", found=repr(key), fix="Quote the key.")
            lines[(*path, key)] = marks.key(key)[0] + 1
            refuse_template(key, f"{name}:{lines[(*path, key)]}")
        return {str(key): _plain(item, (*path, key), lines, name) for key, item in value.items()}
    if isinstance(value, list):
        for i in range(len(value)):
            lines[(*path, i)] = marks.item(i)[0] + 1
        return [_plain(item, (*path, i), lines, name) for i, item in enumerate(value)]
    if isinstance(value, str):
        refuse_template(value, f"{name}:{lines.get(path, 1)}")
        return str(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return float(value) if isinstance(value, float) else int(value)
    return str(value)  # dates and times stay text


def refuse_template(text: str, where: str) -> None:
    """Raises: SpecError if the text asks to be filled in: a spec is taken as written."""
    for mark in ("${", "{{", "{%", "$("):
        if mark in text:
            raise SpecError(where, expected="plain data", found=f"the template mark {mark!r}", fix="Write the value itself.")


def override(document: Document, assignments: Sequence[str]) -> Document:
    """Apply `a.b.c=value` from the command line; values are read as YAML.

    Raises: SpecError for an assignment without `=` or through something that is not a table.
    """
    for text in assignments:
        target, equals, raw = text.partition("=")
        path = tuple(target.strip().split("."))
        if not equals or not all(path):
            raise SpecError(f"--set {text}", expected="name=value", found=repr(text), fix="For example --set train.steps=500.")
        value = read_yaml(f"value: {raw}", f"--set {target}").data["value"]
        node = document.data
        for n, part in enumerate(path[:-1], 1):
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SpecError(f"--set {text}", expected=f"{'.'.join(path[:n])} to be a table", found=repr(inner), fix="Set the whole value instead.")
            node = inner
        node[path[-1]] = value
        document.lines[path] = 0
    return document


def validate(model: type[Model], document: Document) -> Model:
    """The document as a model. Raises: SpecError for the first thing that does not fit, with its line and the nearest known word."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        complaints = [_Complaint.of(model, document.data, e) for e in error.errors(include_url=False, include_context=False)]
        deepest = {c.path: max(o.depth for o in complaints if o.path[:1] == c.path[:1]) for c in complaints}
        worst = [c for c in complaints if c.depth == deepest[c.path]]
        first = min(worst, key=lambda c: document.lines.get(c.path, 1 << 30))
        others = [c for c in worst if c.path == first.path]
        raise first.error(document, others) from None


@dataclass
class _Complaint:
    """One of pydantic's errors, its place walked through the data so that the names of union branches fall out."""

    path: Path
    kind: str
    message: str
    found: Any
    known: list[str]
    expected: Any

    @classmethod
    def of(cls, model: Any, data: Any, error: Any) -> "_Complaint":
        path: list[str | int] = []
        node, annotation, parent = data, model, model
        location = error["loc"]
        for n, part in enumerate(location):
            last = n == len(location) - 1
            inside = (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int) and part < len(node))
            if inside or (last and error["type"] == "missing"):
                path.append(part)
                parent, annotation = annotation, _step(annotation, part)
                node = node[part] if inside else None
            else:
                annotation = _branch(annotation, str(part))
        owner = parent if error["type"] in ("extra_forbidden", "missing") else annotation
        return cls(tuple(path), error["type"], error["msg"], error["input"], sorted(_keys(owner)), annotation)

    @property
    def depth(self) -> int:
        return len(self.path)

    def error(self, document: Document, others: list["_Complaint"]) -> SpecError:
        where = document.where(self.path)
        if self.kind == "extra_forbidden":
            return SpecError(where, expected="a known key", found=repr(self.path[-1]), fix=did_you_mean(str(self.path[-1]), self.known))
        if self.kind == "missing":
            return SpecError(where, expected=f"the key {self.path[-1]!r}", found="nothing", fix="Add it; `thuja init DATA` writes a whole spec.")
        choices = sorted({c for other in others for c in _choices(other.expected)})
        found = repr(self.found) if len(repr(self.found)) < 60 else type(self.found).__name__
        if isinstance(self.found, dict) and choices:
            where, found = f"{where}.kind", repr(self.found.get("kind", "nothing"))
        words = list(dict.fromkeys(other.words for other in others if other.words))
        expected = " or ".join(([f"one of {', '.join(choices)}"] if len(choices) > 1 else choices) + words)
        word = self.found.get("kind") if isinstance(self.found, dict) else self.found
        near = difflib.get_close_matches(word, choices, n=1) if isinstance(word, str) else []
        return SpecError(where, expected=expected, found=found, fix=f"Did you mean {near[0]!r}?" if near else "Change this value.")

    @property
    def words(self) -> str:
        """What was expected, in plain words; empty where the choices say it."""
        if self.kind in ("union_tag_invalid", "union_tag_not_found", "literal_error", "model_attributes_type"):
            return ""
        if self.kind in PLAIN_WORDS:
            return PLAIN_WORDS[self.kind]
        message = self.message.removeprefix("Input should be ").removeprefix("Value error, ")
        return message[:1].lower() + message[1:]


def _members(annotation: Any) -> Iterator[Any]:
    """The concrete alternatives of an annotation, unions and Annotated opened."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _members(part)
    else:
        yield annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [m for m in _members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)]


def _step(annotation: Any, part: str | int) -> Any:
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel) and part in member.model_fields:
            return member.model_fields[str(part)].annotation
        if get_origin(member) in (list, tuple, dict):
            return get_args(member)[-1 if get_origin(member) is dict else 0]
    return Any


def _branch(annotation: Any, tag: str) -> Any:
    """The member of a union that pydantic calls `tag`; the union itself if that is not clear."""
    for member in _models(annotation):
        kind = member.model_fields.get("kind")
        if kind is not None and kind.default == tag:
            return member
    return annotation


def _keys(annotation: Any) -> set[str]:
    return {name for member in _models(annotation) for name in member.model_fields}


def _choices(annotation: Any) -> set[str]:
    choices: set[str] = set()
    for member in _members(annotation):
        if get_origin(member) is Literal:
            choices |= {str(value) for value in get_args(member)}
        elif isinstance(member, type) and issubclass(member, BaseModel) and "kind" in member.model_fields:
            choices.add(str(member.model_fields["kind"].default))
    return choices
