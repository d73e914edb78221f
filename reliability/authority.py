"""S10 and S11: who may come in, and where a name may lead.

S10 asks every route with every kind of wrong credential: none, empty, another's, an old one, a prefix, one in the query, in a cookie, in another case. Only
liveness answers. S11 gives names that try to climb out of a folder, in every encoding known to have worked somewhere, at every place where a name is taken.
"""

import ast
import base64
import inspect
import json
import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from reliability import applications
from reliability.inprocess import Answer, Client, asked
from reliability.outcome import Control, Harness, Outcome
from thuja.server import app, auth, edge, page
from thuja.server.auth import OPEN, Gate
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

Request = tuple[str, str, Mapping[str, str]]
"""Method, path with query, headers."""
JSON = {"Content-Type": "application/json"}


def routes(application: edge.Edge) -> list[tuple[str, str]]:
    """Every method and path, names filled in."""
    kind, version = application.service.model.kind, application.service.model.version
    return [(method, route.path.format(name=kind if "/v2" in route.path else "page.css", version=version, gallery="club", person="Ann"))
            for route in application.routes.routes for method in sorted(route.methods or ())]


def strangers(token: str, rng: random.Random) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Wrong credentials by what they are: what is added to the path, and headers."""
    other = secrets.token_urlsafe(32)

    def bearer(value: str, scheme: str = "Bearer") -> tuple[str, dict[str, str]]:
        return "", {"Authorization": f"{scheme} {value}"}

    def basic(user: str, password: str) -> tuple[str, dict[str, str]]:
        return bearer(base64.b64encode(f"{user}:{password}".encode()).decode(), "Basic")

    place = rng.randrange(len(token))
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    return {
        "none": ("", {}), "empty": ("", {"Authorization": ""}), "scheme alone": ("", {"Authorization": "Bearer"}), "another's": bearer(other),
        "an old one": bearer("old-" + token[4:]), "one character": bearer(changed), "prefix": bearer(token[: rng.randrange(1, len(token))]),
        "suffix": bearer(token[1:]), "longer": bearer(token + "x"), "twice": bearer(token + token), "upper case": bearer(token.swapcase()),
        "quoted": bearer(f'"{token}"'), "two words": bearer(f"{token} {token}"), "no scheme": ("", {"Authorization": token}),
        "scheme Token": bearer(token, "Token"), "in the query": (f"?token={token}&access_token={token}&Authorization=Bearer%20{token}", {}),
        "cookie": ("", {"Cookie": f"token={token}; Authorization=Bearer {token}"}), "another header": ("", {"X-Api-Key": token, "X-Authorization": token}),
        "forwarded": ("", {"Proxy-Authorization": f"Bearer {token}", "X-Forwarded-For": "127.0.0.1", "X-Original-Authorization": f"Bearer {token}"}),
        "user, not password": basic(token, ""), "wrong password": basic("anybody", other), "broken Basic": bearer("***", "Basic"),
        "a dictionary's word": bearer("password"), "null": bearer("null"), "surrogates": bearer("\xff\xfe"), "hash of it": bearer(auth._hash(token).hex()),
        "path tricks": ("/../live", {}), "override": ("", {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/live", "X-Rewrite-URL": "/live"}),
    }


async def _knock(client: Client, token: str, rng: random.Random) -> tuple[int, list[str]]:
    """Ask every route with every stranger's credential, and with the right one."""
    count, failures = 0, list[str]()
    for method, path in routes(client.app):
        right = await client.ask(method, path, b"{}", JSON | {"Authorization": f"Bearer {token}"})
        if right.status == 401:
            failures.append(f"{method} {path}: refused with the right token")
        for name, (tail, headers) in strangers(token, rng).items():
            if path in OPEN and not tail.startswith("/"):
                continue
            answer = await client.ask(method, path + tail, b"{}", JSON | headers)
            count += 1
            if answer.status != 401 or _tells(answer, token):
                failures.append(f"{method} {path}, {name}: status {answer.status}{', and the token in the answer' if _tells(answer, token) else ''}")
    for path in OPEN:
        count += 1
        if (await client.ask("GET", path)).status != 200:
            failures.append(f"{path} is not open")
    return count, failures


def _tells(answer: Answer, token: str) -> bool:
    return token.encode() in answer.body or token in str(answer.headers)


def knocked(rng: random.Random) -> tuple[int, list[str]]:
    """One server, one fresh token."""
    token = secrets.token_urlsafe(32)
    return asked(app.create_app(applications.artifacts()["table"], ServeSettings(), token), lambda client: _knock(client, token, rng))


def constant_time() -> str:
    """What is wrong with how the token is compared; empty if it is by hmac.compare_digest and nothing else."""
    tree = ast.parse(inspect.getsource(Gate))
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare) and "_wanted" in ast.unparse(node)]
    called = "hmac.compare_digest(" in ast.unparse(tree)
    others = [text for text in compared if " is " not in text]
    return "" if called and not others else f"compared by {others or 'nothing known'}"


def _starts(self: Gate, path: str, headers: Any) -> None:
    """The planted bug: the beginning of the token is enough."""
    given = auth._given(headers.get("authorization", ""))
    if path not in OPEN and not (given and any(auth._hash(given + rest) == self._wanted for rest in _ends(given))):
        raise Refusal(401, "header Authorization", expected="Bearer and the token", found="another one")


def _ends(given: str) -> Iterator[str]:
    yield from (TOKEN[0][len(given) :] if TOKEN[0].startswith(given) else "", "")


TOKEN = [""]


def _wide(self: Gate, path: str, headers: Any) -> None:
    """Another: whatever begins like an open path is open."""
    if not path.startswith(tuple(OPEN)) and "/v2" not in path:
        raise Refusal(401, "header Authorization", expected="Bearer and the token", found="another one")


def _proud(self: Gate, path: str, headers: Any) -> None:
    """A third: the refusal says which token would have been right."""
    raise Refusal(401, "header Authorization", expected=TOKEN[0], found="another one")


def run_doors(trials: int, rng: random.Random) -> Outcome:
    """S10: rounds of every route and credential, until there are `trials` of them."""
    count, failures = 0, list[str]()
    if wrong := constant_time():
        failures.append(wrong)
    while count < trials:
        asked_now, found = knocked(rng)
        count, failures = count + asked_now, failures + found
    caught = 0
    for broken in (_starts, _wide, _proud):
        TOKEN[0] = secrets.token_urlsafe(32)
        with patch.object(Gate, "check", broken), patch.object(secrets, "token_urlsafe", lambda _: TOKEN[0]):
            caught += bool(knocked(rng)[1])
    control = Control("the beginning of a token is enough; a route too many is open; the refusal tells the token", 3, caught)
    return Outcome(count, failures, control, {"kinds of credential": len(strangers("x" * 32, rng))})


STEPS = ("../", "..\\", "..;/", "....//", "..%2f", "..%5c", "..%c0%af", "..%252f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%00/", "..%ef%bc%8f", "．．/",
         "..／", "%uff0e%uff0e/", "..\x00/", ".%2e/", "%2e./", "..//", "..%u2215", "..%e0%80%af", "./../", "..\t/", "..\n/", "..%0d/", "..%09/", "..%20/",
         "../.")
STARTS = ("", "/", "//", "\\\\host\\share\\", "C:\\", "file:///", "~/", "good/", "good%2f", "./", "%2f", "\\", "//?/", "..%01", "good/..;/", "page.css/",
          "good\x00")
ENDS = ("secret", "etc/passwd", "secret%00.css", "secret/manifest.json", "secret;.css", "secret?", "secret%2e", "secret ", "secret.", "app.py", "secret/.",
        "SECRET")
FIXED = ("__init__.py", "home.html", "link", "linked", "inner/../../secret", "..", ".", "", "good/../../secret", "../" * 20 + "etc/passwd", "%00", "good%00",
         "x" * 5000, "%ff", "/etc/passwd", "%2fetc%2fpasswd", "nul", "con", "good::$DATA", "...", "good/", "good/.", "%2e", "%2e%2e")


def corpus(count: int, rng: random.Random) -> list[str]:
    """Names that try to lead elsewhere: starts, steps in every encoding, ends; the links among them first."""
    made = [rng.choice(STARTS) + rng.choice(STEPS) * rng.randint(1, 6) + rng.choice(ENDS) for _ in range(max(0, count - len(FIXED)))]
    return [*FIXED, *(quote(name) if rng.random() < 0.3 else name for name in made)]


@contextmanager
def shelf(artifact: Path) -> Iterator[Path]:
    """A models folder with one artefact `good`; beside it a secret artefact, and links in it that lead there."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "models"
        root.mkdir()
        for target in (root / "good", Path(place) / "secret"):
            shutil.copytree(artifact, target)
        (root / "link").symlink_to(Path(place) / "secret")
        (root / "linked").symlink_to("../secret")
        yield root


async def _climb(client: Client, names: list[str], token: str) -> list[str]:
    """Give every name at every place; an escape is any answer that is good."""
    failures: list[str] = []
    headers = JSON | {"Authorization": f"Bearer {token}"}
    places: dict[str, Callable[[str], tuple[str, str, bytes]]] = {
        "swap": lambda name: ("POST", "/admin/swap", json.dumps({"name": name}).encode()),
        "static": lambda name: ("GET", f"/static/{_wire(name)}", b""),
        "model": lambda name: ("GET", f"/v2/models/{_wire(name)}", b""),
        "version": lambda name: ("GET", f"/v2/models/table/versions/{_wire(name)}", b""),
        "infer": lambda name: ("POST", f"/v2/models/{_wire(name)}/infer", b'{"inputs": []}'),
    }
    for name in names:
        for place, make in places.items():
            if place in ("model", "version") and not name.strip("/"):
                continue  # that is another route
            method, path, body = make(name)
            answer = await client.ask(method, path, body, headers)
            if not 400 <= answer.status < 500:
                failures.append(f"{place} took {name[:80]!r}: status {answer.status}")
            elif b"root:" in answer.body or str(Path.cwd()).encode() in answer.body:
                failures.append(f"{place} told too much of {name[:80]!r}")
    good = await client.ask("POST", "/admin/swap", b'{"name": "good"}', headers)
    return failures + ([] if good.status == 200 else [f"the honest name was refused: {good.status}"])


def _wire(name: str) -> str:
    """As a hostile client puts it on the wire: what must be escaped there is, the rest is left."""
    return "".join(c if 32 < ord(c) < 127 and c not in "?#" else quote(c, safe="") for c in name)


def climbed(names: list[str]) -> list[str]:
    """Give the names to a server with a models folder."""
    token = secrets.token_urlsafe(32)
    with shelf(applications.artifacts()["table"]) as root:
        application = app.create_app(root / "good", ServeSettings(models=root), token)
        return asked(application, lambda client: _climb(client, names, token))


def _trusting(root: Path, name: str) -> Path:
    """The planted bug: a name is joined to a folder, and that is all."""
    found = root / name
    if not found.is_dir():
        raise Refusal(404, "name", expected="an artefact", found=repr(name))
    return found


def _file(name: str) -> Any:
    """Another: a page's file is looked for in its folder by name."""
    from starlette.responses import Response

    path = Path(page.__file__).parent / name
    if not path.is_file():
        raise Refusal(404, "address", expected="a file of the page", found=repr(name))
    return Response(path.read_bytes())


def run_names(trials: int, rng: random.Random) -> Outcome:
    """S11: about `trials` names, each at five places."""
    names = corpus(trials, rng)
    failures = climbed(names)
    caught = 0
    for module, function, broken in ((app, "below", _trusting), (page, "static", _file)):
        with patch.object(module, function, broken), patch.object(edge.LOG, "disabled", True):
            caught += bool(climbed(names[:40]))
    control = Control("a name joined to a folder unseen: models; files of the page", 2, caught)
    return Outcome(len(names), failures, control, {"places": 5})


HARNESSES = (
    Harness("S10", "no route but liveness answers without the token", run_doors, short=600, long=20_000),
    Harness("S11", "no name leads out of its folder", run_names, short=120, long=2000),
)
