"""Write what is said twice from where it is said first: docs/reference/ from the code, the README's tree from docstrings, its figures from results.

    python tools/make_docs.py           # rewrite
    python tools/make_docs.py --check   # exit 1 if something is out of date, and name it

tests/test_docs.py holds all of it to the code.
"""

import ast
import re
import sys
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import applications
import click
import life_figures
from figures import figures, peers
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from thuja.apps import TASKS
from thuja.cli import COMMANDS, group
from thuja.core import errors
from thuja.core.errors import ThujaError
from thuja.metrics import METRICS
from thuja.server import app as server_app
from thuja.server.metrics import Metrics
from thuja.server.openapi import ERRORS
from thuja.server.problem import status_of
from thuja.server.settings import ServeSettings
from thuja.spec import Spec, task_class

ROOT = Path(__file__).parents[1]
REFERENCE = Path("docs/reference")
NOTE = "<!-- Written by tools/make_docs.py; change the code instead. -->\n"
WIDEST = 118
OTHERS = {
    "tests/": "mirrors thuja/ file for file; the rules of the house as tests; odd/ holds five applications nobody planned for",
    "reliability/": "what tries to break it, one harness a promise, each with a bug planted that it must catch",
    "benchmarks/": "one script a figure; results/ holds what it measured, as JSON",
    "docs/": "guide/ for users, reference/ written from the code, decisions/ for why, log.md for what did not work",
    "tools/": "what writes the reference and the demo's pictures",
}
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "empty", Path: "path", Any: "anything", PydanticUndefined: ""}
SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring, cut at a colon or a comma where it is too long for a line; empty if there is none."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())
    first = re.split(r"(?<=[.!?]) (?=[A-Z`])", text)[0].rstrip(".")
    for mark in ":;,":
        if len(first) > WIDEST:
            first = first.partition(mark)[0]
    return first


def tree() -> str:
    """One line for each folder and file directly below thuja/, and for the folders beside it."""
    lines = []
    for path in sorted((ROOT / "thuja").iterdir(), key=lambda p: (p.is_file(), p.name)):
        modules = sorted(p.stem for p in path.glob("*.py") if p.name != "__init__.py") if path.is_dir() else []
        modules += [f"{p.parent.name}/" for p in sorted(path.glob("*/__init__.py"))]
        if path.name.startswith((".", "__")) or (path.is_file() and path.suffix != ".py"):
            continue
        if path.is_dir():
            init = path / "__init__.py"
            said = (sentence(init) if init.exists() else "") or ", ".join(m.replace("_", " ") for m in modules) or "what ships with `thuja demo`"
            lines.append(f"  {path.name + '/':<13}{said}")
        else:
            lines.append(f"  {path.name:<13}{sentence(path)}")
    lines += [f"{name:<15}{said}" for name, said in OTHERS.items()]
    return "\n".join(["```", "thuja/", *lines, "```"])


def kind_of(hint: Any) -> str:
    """A type in words: `text`, `` `auto` or whole number > 0 ``, `list of text`."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if any(isinstance(m, BeforeValidator) for m in inside[1:]):
            return "seconds, or a time such as `90s`, `5m`, `1h`"
        bounds = [m for part in inside[1:] for m in (part.metadata if isinstance(part, FieldInfo) else [part])]
        limits = " and ".join(f"{sign} {getattr(m, name)}" for m in bounds for name, sign in SIGNS.items() if getattr(m, name, None) is not None)
        return f"{kind_of(inside[0])} {limits}".strip()
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind_of(part) for part in inside))
    if origin is tuple:
        return f"list of {kind_of(inside[0])}" if inside[-1] is Ellipsis else f"list of {len(inside)}: {', '.join(map(kind_of, inside))}"
    if origin is dict:
        return f"table of {kind_of(inside[0])} to {kind_of(inside[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"[{name_of(hint)}](#{anchor(name_of(hint))})"
    return WORDS.get(hint) or str(getattr(hint, "__name__", hint))


def name_of(model: type[BaseModel]) -> str:
    """What the spec calls it: its kind, or the class."""
    field = model.model_fields.get("kind")
    return str(field.default) if field is not None else model.__name__


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading.

    >>> anchor("text-cnn (a model)")
    'text-cnn-a-model'
    """
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def written(value: Any) -> str:
    """A default as one would type it in YAML."""
    if isinstance(value, BaseModel):
        return f"`{name_of(type(value))}`"
    if value is None or value in ("", (), {}):
        return "empty"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in value) + "]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def keys(model: type[BaseModel]) -> list[str]:
    """A line for each key: name, type, default, help."""
    hints = typing.get_type_hints(model, include_extras=True)
    lines = []
    for name, field in model.model_fields.items():
        if name in ("kind", "thuja"):
            continue
        default = "needed" if field.is_required() else f"default {written(field.default)}"
        said = " " + " ".join(field.description.split()) if field.description else ""
        lines.append(f"- **`{name}`**: {kind_of(hints[name])}; {default}.{said}")
    return lines


def inside(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that a model's fields may hold, in order."""
    found: list[type[BaseModel]] = []
    waiting = list(typing.get_type_hints(model, include_extras=True).values())
    while waiting:
        hint = waiting.pop(0)
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            found.append(hint)
        waiting[:0] = get_args(hint) if get_origin(hint) is not Literal else ()
    return found


def describe(model: type[BaseModel], heading: str, done: set[type[BaseModel]]) -> list[str]:
    """A model and, below it, those it may hold, each once."""
    done.add(model)
    docstring = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    lines = [f"{heading} {name_of(model)}", "", docstring, "", *keys(model), ""]
    for child in inside(model):
        if child not in done:
            lines += describe(child, "###", done)
    return lines


def spec_page() -> str:
    """Every section and key of a spec."""
    lines = [NOTE, "# The spec: `thuja.yaml`", "", "`thuja init DATA` writes one with every key explained; `thuja schema` prints its JSON Schema.",
             "`auto` is settled before step one; `thuja explain` says how and why. A typed value is never overruled.", "",
             "Any key can be set for one command: `--set train.steps=500`.", "", "```", "thuja: 1", "task:", "  kind: table", "  target: price", "data:",
             "  path: houses.csv", "```", "", "The sections are `task`, `data`, `check`, `train`, `evaluate`, `export`, `life`.",
             "`task.kind` is one of " + ", ".join(f"[{kind}](#{kind})" for kind in TASKS) + ".", ""]
    done: set[type[BaseModel]] = set()
    for name in ("data", "check", "train", "evaluate", "export", "life"):
        lines += describe(Spec.model_fields[name].annotation, "##", done)
    for kind in TASKS:
        lines += describe(task_class(kind), "##", done)
    return "\n".join(lines).rstrip() + "\n"


def command_page() -> str:
    """Every command, argument and option."""
    lines = [NOTE, "# The command line", "", "`thuja --help` and `thuja VERB --help` say the same. Exit codes: [errors](errors.md).", "",
             "Progress goes to standard error, answers to standard output. `NO_COLOR` is obeyed. Nothing is sent anywhere.", ""]
    for name in COMMANDS:
        command = group.commands.get(name) or group.get_command(click.Context(group), name)
        assert command is not None
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join(["thuja", name, *(p.make_metavar(click.Context(command)) for p in arguments)])
        lines += [f"## thuja {name}", "", f"`{usage} [OPTIONS]`", "", " ".join((command.help or "").split()), ""]
        for option in command.params:
            if isinstance(option, click.Option):
                value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
                default = "" if option.is_flag or option.multiple or option.default in (None, "") or not str(option.default).strip() else str(option.default)
                again = " May be given several times." if option.multiple else ""
                unset = not default or "Sentinel" in default
                lines.append(f"- `{'/'.join(option.opts)}{value}`: {option.help or ''}{again}" + ("" if unset else f" Default `{default}`."))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def metric_page() -> str:
    """Every metric: what it is, which way is better, where it comes from."""
    lines = [NOTE, "# Metrics", "", "Every metric is a pure function of the outputs file and has an interval (95 % unless `evaluate.level` says otherwise).",
             "Proportions of independent rows have a closed-form interval (Wilson); everything else is a bootstrap of `evaluate.resamples` draws.",
             "Where rows share a group (`data.group`), whole groups are drawn.", ""]
    for name, metric in METRICS.items():
        how = "closed form" if metric.proportion else "bootstrap"
        said = " ".join((metric.prepare.__doc__ or "").split()).removesuffix(".")
        better = "higher" if metric.direction == "max" else "lower"
        lines.append(f"- **`{name}`** ({metric.label}): {better} is better; from `{metric.needs}`; interval by {how}; no value when: {metric.undefined}."
                     + (f" {said}." if said else ""))
    lines += ["", "## Sources", ""]
    for path in sorted((ROOT / "thuja" / "metrics").glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        if "Source:" in text and path.name != "__init__.py":
            lines.append(f"- `{path.stem}`: {' '.join(text.partition('Source:')[2].split())}")
    return "\n".join(lines) + "\n"


def error_page() -> str:
    """Error classes with exit codes and HTTP statuses."""
    lines = [NOTE, "# Errors", "", "An error says where, what was expected, what was found, and what to do:", "", "```",
             "thuja.yaml:12 train.stpes: expected a known key,", "found 'stpes'. Did you mean 'steps'?", "```", "",
             "In Python the parts are `error.where`, `.expected`, `.found`, `.fix`; a server answers them as problem JSON.",
             "All are children of `thuja.core.errors.ThujaError`. A plain traceback is a bug of ours: please report it.", "", "## Exit codes", "",
             "- `0`: done; also training that SIGTERM stopped, its state saved.", "- `2`: also an unknown command or option.",
             "- `70`: our mistake; please report it with the lines above it.", "- `130`: stopped with Ctrl-C.",
             "- The others are those of the classes below."]
    lines += ["", "## Classes", ""]
    kinds: list[type[ThujaError]] = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, ThujaError) and v is not ThujaError]
    for kind in kinds:
        above = "" if kind.__base__ is ThujaError or kind.__base__ is None else f" (a kind of `{kind.__base__.__name__}`)"
        example = errors.BadRows({0: errors.DataError("", expected="", found="")}) if kind is errors.BadRows else kind("", expected="", found="")
        http = f", HTTP {status_of(example)}" if status_of(example) != 500 else ""  # 500: no request is to blame
        lines.append(f"- **`{kind.__name__}`**{above}: exit code {kind.exit_code}{http}. {' '.join((kind.__doc__ or '').split())}")
    return "\n".join(lines) + "\n"


def server_page() -> str:
    """Routes, answers, counters and settings of the server."""
    lines = [NOTE, "# The server", "", "How to use it: [serving](../guide/serving.md).", "", "## Routes", ""]
    for route in server_app._routes():
        methods = sorted((route.methods or set()) - {"HEAD"})
        lines.append(f"- `{' '.join(methods)} {route.path}`: {' '.join((route.endpoint.__doc__ or '').split())}")
    lines += ["", "## Refusals", "", "Problem JSON (RFC 9457) with `where`, `expected`, `found`, `fix`; under `/v2` the protocol's own `error`.", ""]
    lines += [f"- `{status}`: {said}." for status, said in ERRORS.items()]
    lines += ["", "## Counters at `/metrics`", ""]
    lines += [f"- `{family.name}` ({family.type}): {family.documentation}" for family in Metrics().registry.collect()]
    lines += ["", "## Settings", "", "`thuja serve ARTIFACT --set max_rows=64`; in Python `ServeSettings(max_rows=64)`.", "", *keys(ServeSettings)]
    return "\n".join(lines) + "\n"


def between(text: str, marker: str, new: str) -> str:
    """`text` with what stands between `<!-- marker -->` and `<!-- /marker -->` replaced."""
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    assert text.count(start) == text.count(end) == 1, f"the page has one pair of {start}"
    return text[: text.index(start)] + f"{start}\n{new}\n" + text[text.index(end):]


def documents() -> dict[Path, str]:
    """Every file this tool writes, relative to the root, as it should be."""
    readme = (ROOT / "README.md").read_text("utf-8")
    results = ROOT / "benchmarks" / "results"
    for marker, new in (("figures", figures(results)), ("peers", peers(results)), ("tree", tree())):
        readme = between(readme, marker, new)
    guides = {Path("docs/guide") / f"{name}.md": prefix for name, prefix in applications.GUIDES.items()}
    shown = {path: between((ROOT / path).read_text("utf-8"), "figures", applications.guide(prefix)) for path, prefix in guides.items()}
    life = Path("docs/guide/life.md")
    shown[life] = between((ROOT / life).read_text("utf-8"), "figures", life_figures.table())
    pages = {"spec": spec_page, "command-line": command_page, "metrics": metric_page, "errors": error_page, "server": server_page}
    return {Path("README.md"): readme, Path("docs/applications.md"): applications.page(), **shown,
            **{REFERENCE / f"{name}.md": page() for name, page in pages.items()}}


def stale() -> list[Path]:
    """Files that are not as they should be."""
    return [path for path, text in documents().items() if not (ROOT / path).is_file() or (ROOT / path).read_text("utf-8") != text]


def main() -> None:
    if "--check" in sys.argv[1:]:
        sys.exit("".join(f"{path} is out of date: run python tools/make_docs.py\n" for path in stale()) or 0)
    for path, text in documents().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
