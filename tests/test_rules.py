"""The rules of the house as tests: who imports whom, how large things may grow, what must stay light. ARCHITECTURE.md says why."""

import ast
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import thuja

ROOT = Path(thuja.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Each room and the rooms it may import from, besides itself. A module is in the room of its longest prefix here.
MAY_IMPORT = {
    "core": set(),
    "fields": {"core"},
    "settings": set(),
    "codec": {"core", "fields"},
    "vocabulary": {"core", "codec"},
    "data": {"core", "fields", "codec", "settings"},
    "metrics": {"core"},
    "blocks": set(),
    "losses": set(),
    "models": {"blocks", "losses", "settings"},
    "chart": set(),
    "task": {"core", "chart", "codec", "metrics", "data.order"},
    "apps": {"core", "fields", "settings", "chart", "codec", "vocabulary", "task", "data.order", "data.interactions", "data.rows", "data.segments",
             "data.windows", "models", "blocks", "losses", "metrics", "artifact"},
    "apps.__init__": set(),
    "spec": {"core", "settings", "codec", "task", "life.plan", "apps.__init__"},
    "run": {"core", "codec", "apps.__init__"},
    "artifact": {"core", "fields", "codec", "apps.__init__"},
    "life": {"core", "fields", "settings", "codec", "metrics", "artifact", "apps.__init__"},
    "server": {"core", "fields", "codec", "artifact", "life"},
    "proof": {"core", "fields", "codec", "artifact", "server", "apps.__init__"},
    "graph": {"core", "codec", "task"},
    "training": {"core", "settings", "codec", "artifact", "data", "metrics", "task", "spec", "run"},
    "report": {"core", "fields", "settings", "chart", "metrics", "run"},
    "network": set(),
    "verbs": {"core", "fields", "settings", "codec", "data", "metrics", "task", "spec", "run", "training", "artifact", "proof", "graph", "report", "network",
              "vocabulary", "life", "apps.__init__"},
    "cli": {"core", "settings", "run", "spec", "verbs", "artifact", "proof", "server", "life", "__init__"},
    "testing": {"core", "fields", "settings", "codec", "task", "training"},
    "demo": set(),
    "__init__": {"artifact", "proof", "run", "server", "spec", "verbs"},
    "__main__": {"cli", "core"},
}
TORCH_FREE = {"chart", "core", "fields", "settings", "codec", "vocabulary", "metrics", "run", "artifact", "life", "server", "proof", "cli", "__init__",
              "__main__", "apps.__init__", "report"}
HEAVY = {"tokenizers", "torch", "pandas", "polars", "matplotlib", "sklearn", "pyarrow", "onnx", "onnxruntime", "PIL", "starlette", "uvicorn", "scipy", "mlflow"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts)


def room_of(module: str) -> str:
    if module == "apps" or module == "apps.__init__":
        return "apps.__init__"
    module = module.removesuffix(".__init__") or "__init__"
    return module.split(".")[0] if module.split(".")[0] in MAY_IMPORT else module


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every imported module, full name: top level, in functions, type-only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            place = ROOT.joinpath(*node.module.split(".")[1:])
            modules = {a.name for a in node.names if node.module.startswith("thuja") and ((place / f"{a.name}.py").exists() or (place / a.name).is_dir())}
            yield from (f"{node.module}.{name}" for name in sorted(modules))  # `from thuja.data import order` imports that module
            if len(modules) < len(node.names):
                yield node.module


def inner(path: Path) -> set[str]:
    """The modules of ours that a file imports, without the leading `thuja.`."""
    return {name.partition(".")[2] or "__init__" for name in imports(path) if name == "thuja" or name.startswith("thuja.")}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree(path)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_from_the_rooms_below(path: Path) -> None:
    here = name_of(path)
    room = room_of(here)
    assert room in MAY_IMPORT, f"{here} is in no room: give it one in MAY_IMPORT"
    for module in inner(path):
        there = room_of(module)
        allowed = there == room or there in MAY_IMPORT[room] or any(module.startswith(a) for a in MAY_IMPORT[room] if "." in a)
        assert allowed, f"{here} ({room}) may not import {module} ({there})"


@pytest.mark.parametrize("path", sorted((ROOT / "apps").rglob("*.py")), ids=name_of)
def test_applications_do_not_know_each_other_and_codecs_have_no_torch(path: Path) -> None:
    parts = name_of(path).split(".")
    for module in inner(path):
        if module.startswith("apps."):
            assert module.split(".")[1] == parts[1], f"{name_of(path)} may not import {module}"
    if path.name != "task.py" and path.name != "__init__.py" and "torch" in {m.split(".")[0] for m in imports(path)}:
        assert path.name != "codec.py"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(name_of(p)) in TORCH_FREE or p.name == "codec.py"], ids=name_of)
def test_what_serves_never_imports_torch(path: Path) -> None:
    assert "torch" not in {name.split(".")[0] for name in imports(path)}


def test_there_is_no_import_cycle() -> None:
    graph = {name_of(p).removesuffix(".__init__") or "__init__": inner(p) for p in FILES}
    state: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != 1, f"cycle: {' -> '.join([*trail[trail.index(module):], module])}"
        if module in graph and module not in state:
            state[module] = 1
            for other in graph[module]:
                if other != module:
                    visit(other, (*trail, module))
            state[module] = 2

    for module in graph:
        if module != "__init__":  # it loads its names on first use, for people only
            visit(module, ())


def test_files_stay_short() -> None:
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in FILES}
    assert {n: c for n, c in lengths.items() if c > 500} == {}
    assert statistics.median(c for c in lengths.values() if c > 1) <= 150


def test_functions_stay_short_and_take_few_parameters() -> None:
    long = {f"{name_of(p)}:{f.name}": f.end_lineno - f.lineno + 1 for p in FILES for f in functions(p) if f.end_lineno and f.end_lineno - f.lineno + 1 > 60}
    assert long == {}
    wide = {}
    for path in FILES:
        for f in functions(path):
            names = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if a.arg not in ("self", "cls")]
            command = any(isinstance(d, ast.Call) for d in f.decorator_list)  # a click command has a parameter an option
            if len(names) > 6 and not command:
                wide[f"{name_of(path)}:{f.name}"] = len(names)
    assert wide == {}


def test_inheritance_is_one_deep() -> None:
    bases = {c.name: [ast.unparse(b).split("[")[0].split(".")[-1] for b in c.bases] for p in FILES for c in ast.walk(tree(p)) if isinstance(c, ast.ClassDef)}
    for roots in ({"Module"}, {"Task"}, {"Codec"}):
        first = {name for name, parents in bases.items() if roots & set(parents)} - {"Task", "Codec"}
        second = {name for name, parents in bases.items() if first & set(parents)}
        assert second == set(), f"two levels below {roots}"


def test_no_vague_names() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_utils"}
    assert [name_of(p) for p in FILES if p.stem in vague] == []


def test_broad_except_only_at_the_two_edges() -> None:
    found = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")):
                found.append(name_of(path))
    assert {n.split(".")[0] for n in found} <= {"__main__", "server"}
    assert len(found) <= 2, found


@pytest.mark.parametrize("path", [p for room in ("blocks", "models", "metrics") for p in sorted((ROOT / room).glob("*.py")) if p.stat().st_size]
                         + [p for p in [ROOT / "losses.py"] if p.exists()], ids=name_of)
def test_maths_cites_its_source(path: Path) -> None:
    if path.name == "__init__.py":
        return
    assert "Source:" in path.read_text("utf-8"), f"{name_of(path)} cites no source"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    if path.read_text("utf-8").strip():
        assert ast.get_docstring(tree(path)), f"{name_of(path)} has no docstring"


def test_no_pickle_and_no_way_from_data_to_code() -> None:
    banned_modules = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for path in FILES:
        assert not banned_modules & {m.split(".")[0] for m in imports(path)}, name_of(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"{name_of(path)}:{node.lineno}"


def test_at_most_twelve_public_names_and_no_module_hides_one() -> None:
    assert len(thuja._MAKING) <= 12 and len(thuja._LIFE) <= 12  # to make an application, and for its life in service
    modules = {p.stem for p in ROOT.glob("*.py")} | {p.name for p in ROOT.iterdir() if p.is_dir()}
    assert set(thuja.__all__) & modules == set()


@pytest.mark.parametrize("name", thuja.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert callable(getattr(thuja, name))


def _python(code: str) -> tuple[str, float]:
    """What a fresh interpreter prints, and the processor seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("code", ["import thuja", "import thuja.cli", "from thuja.cli import group; group(['--help'], standalone_mode=False)"])
def test_start_loads_nothing_heavy(code: str) -> None:
    out, _ = _python(f"import sys\n{code}\nprint('LOADED', *sorted({{m.split('.')[0] for m in sys.modules}}))")
    assert HEAVY & set(out.split("LOADED", 1)[1].split()) == set()


def test_start_is_quick() -> None:
    """Processor time above an empty interpreter's, the best of five: a busy machine does not change it much. Figures: benchmarks/start_up.py."""
    empty = min(_python("pass")[1] for _ in range(5))
    assert min(_python("import thuja")[1] for _ in range(5)) - empty < 0.060
    assert min(_python("from thuja.cli import group; group(['--help'], standalone_mode=False)")[1] for _ in range(5)) - empty < 0.200


def test_torchvision_is_absent() -> None:
    assert subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False).returncode != 0


def test_contract_methods_are_frozen() -> None:
    from thuja.codec import Codec
    from thuja.task import Task

    def public(cls: type) -> list[str]:
        return sorted(n for n, v in vars(cls).items() if not n.startswith("_") and (callable(v) or isinstance(v, (property, classmethod))))

    assert public(Codec) == ["cautions", "decode", "digest", "dumps", "encode", "parse", "partial", "schema"]
    assert public(Task) == ["adopt", "arrange", "augment", "baseline", "batches", "build", "charts", "choices", "goal", "inherit", "judged", "look", "loss",
                            "memory", "metrics", "objectives", "outputs", "prepare", "programs", "served", "targets"]


def test_nothing_committed_names_this_machine() -> None:
    here = str(ROOT.parent)
    if here.count("/") < 2:
        pytest.skip(f"a checkout at {here} is too short a name to search for")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    for name in listed.stdout.split():
        path = ROOT.parent / name
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".json", "") and path.is_file() and path.name != "test_rules.py":
            text = path.read_text("utf-8", errors="ignore")
            assert here not in text, f"{name} names the folder it was written in"
