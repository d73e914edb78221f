"""S1: every route called with what its published schema allows and with what it forbids, by schemathesis; the answers are held to the same schema.

All three applications, one that holds conversations and one that keeps galleries, in this process through the ASGI interface, and every tenth share of the
calls over a real socket.
A failure is an answer of 500 or more, a status, header, content type or body that the OpenAPI document does not describe, or forbidden data that was taken.
"""

import base64
import importlib.util
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from starlette.responses import PlainTextResponse

from reliability import applications
from reliability.live import served
from reliability.outcome import Control, Harness, Outcome
from thuja.core.errors import MissingExtra
from thuja.fields import Image
from thuja.server import edge, problem, wire
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

VARIED = 14
"""Kinds of call of which more than one can be made: operations with a body or a place in their path, times allowed and forbidden."""
REFUSALS = ("400", "401", "403", "404", "405", "408", "409", "413", "415", "422", "429")
PATIENCE = 10.0
BASE = "http://127.0.0.1"
Check = Callable[[Any], None]


def checks() -> list[Any]:
    """What every answer is held to."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi

    return [not_a_server_error, openapi.status_code_conformance, openapi.content_type_conformance, openapi.response_headers_conformance,
            openapi.response_schema_conformance, openapi.negative_data_rejection]


def require() -> None:
    """Raises: MissingExtra where schemathesis is not installed."""
    if importlib.util.find_spec("schemathesis") is None:
        raise MissingExtra("S1", expected="schemathesis", found="not installed", fix="Type: pip install 'thuja[dev]'.")


def loaded(app: Any, token: str | None = None) -> Any:
    """The application's own document, as schemathesis reads it."""
    import schemathesis

    return schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1", **bearer(token)}, config=config())


def bearer(token: str | None) -> dict[str, str]:
    """What a client that knows the token sends."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def config() -> Any:
    """413 is a refusal too: more rows, or longer texts, than are taken."""
    from schemathesis.config import SchemathesisConfig

    return SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": list(REFUSALS)}},
                                         "generation": {"with-security-parameters": False}})


def real(value: Any, photos: list[str], pick: Callable[[list[str]], str]) -> Any:
    """Made-up text where a picture belongs, replaced by a picture: no generator would ever hit upon one."""
    if isinstance(value, dict):
        return {k: pick(photos) if k == "image" and isinstance(v, str) else [pick(photos) for _ in v] if k == "images" and isinstance(v, list)
                else real(v, photos, pick) for k, v in value.items()}
    return [real(v, photos, pick) for v in value] if isinstance(value, list) else value


def pictures() -> list[str]:
    """Files as base64, odd ones among them."""
    return [base64.b64encode(data).decode() for data in Image().fake(np.random.default_rng(0), 8)]


def explore(schema: Any, each: int, rng: random.Random, base: str = BASE, token: str | None = None) -> tuple[int, list[str]]:
    """Call every operation `each` times with allowed and as often with forbidden data, with the token if there is one. Returns: calls made, failures."""
    from schemathesis import GenerationMode

    calls, failures = [0], list[str]()
    photos = pictures()
    for found in schema.get_all_operations():
        operation = found.ok()
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if operation.body or operation.path_parameters else (GenerationMode.POSITIVE,)
        for mode in modes:
            work = _one(base, calls, photos if mode is GenerationMode.POSITIVE else [], token)
            failures += attempt(operation.as_strategy(generation_mode=mode), work, each, rng, f"{operation.label} ({mode.value})")
    return calls[0], failures


def _one(base: str, calls: list[int], photos: list[str], token: str | None) -> Check:
    held = checks()
    lenient = [each for each in held if each.__name__ != "negative_data_rejection"]  # in a form all is text: a number as text is the number

    def check(case: Any) -> None:
        if photos and not isinstance(case.body, (bytes, str, float, int)):
            case.body = real(case.body, photos, lambda options: options[calls[0] % len(options)])
        patience = _seconds(case.headers.get("Request-Timeout", ""))
        if 0 < patience < PATIENCE:  # a client that allows a microsecond gets the 504 it asked for
            case.headers["Request-Timeout"] = str(PATIENCE)
        case.headers.update(bearer(token))
        calls[0] += 1
        wanted = held if case.media_type in (None, "application/json") else lenient
        case.call_and_validate(base_url=base, checks=wanted)

    return check


def _seconds(text: Any) -> float:
    """The number in a header, NaN for anything else."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def attempt(strategy: Any, check: Check, each: int, rng: random.Random, label: str) -> list[str]:
    """Run `check` on what `strategy` makes; the failures, shrunk, in a line each."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, settings
    from schemathesis.core.errors import SchemathesisError
    from schemathesis.core.failures import Failure, FailureGroup

    quiet = settings(max_examples=each, database=None, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
                     print_blob=False, report_multiple_bugs=False)

    @hypothesis.seed(rng.getrandbits(32))
    @quiet
    @hypothesis.given(case=strategy)
    def test(case: Any) -> None:
        check(case)

    try:
        test()
    except FailureGroup as group:
        return [f"{label}: {_line(e)}" for e in group.exceptions]
    except hypothesis.errors.Unsatisfiable:
        return []  # nothing is forbidden here
    except (Failure, SchemathesisError, hypothesis.errors.HypothesisException) as error:
        return [f"{label}: {_line(error)}"]
    return []


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:1000]


@contextmanager
def unchecked() -> Iterator[None]:
    """The planted bug: a row is answered with a text where the document promises a number, as a careless release might."""
    true = wire.answers

    def answers(*given: Any) -> bytes:
        return true(*given).replace(b'"probability":', b'"probability":"about ",":').replace(b'"about ",":', b'"about","was":')

    with patch.object(wire, "answers", answers):
        yield


@contextmanager
def unguarded() -> Iterator[None]:
    """Another: an error that nobody thought of."""
    def read_json(body: bytes, *_: Any) -> Any:
        return {}[body]

    with patch.object(wire, "read_json", read_json), patch.object(edge.LOG, "disabled", True):
        yield


@contextmanager
def undocumented() -> Iterator[None]:
    """Another: errors are told in a form that nobody has described."""
    with patch.object(problem, "response", lambda error, path: PlainTextResponse(str(error), problem.status_of(error))):
        yield


PLANTED = (unchecked, unguarded, undocumented)


def calls_in_process(path: Path, each: int, rng: random.Random, route: str = "/") -> tuple[int, list[str]]:
    """Explore an artefact's server in this process, the routes that begin with `route`."""
    from schemathesis.python.asgi import shutdown_lifespans

    try:
        return explore(loaded(create_app(path, ServeSettings())).include(path_regex=f"^{route}"), each, rng)
    finally:
        shutdown_lifespans()


def calls_of_galleries(path: Path, each: int, rng: random.Random) -> tuple[int, list[str]]:
    """Explore the server of an artefact that makes vectors, with a token and a folder for galleries, the routes of galleries alone."""
    from schemathesis.python.asgi import shutdown_lifespans

    token = "a-token-for-schemathesis"
    with tempfile.TemporaryDirectory() as folder:
        try:
            app = create_app(path, ServeSettings(galleries=Path(folder), max_galleries=10_000), token)
            return explore(loaded(app, token).include(path_regex="^/galler"), each, rng, token=token)
        finally:
            shutdown_lifespans()


def run(trials: int, rng: random.Random) -> Outcome:
    """About `trials` calls, shared among the applications; a tenth of them over the wire."""
    require()
    total, failures, routes = 0, list[str](), 0
    places = applications.artifacts() | {"chat": applications.conversation()}
    for name, path in places.items():
        count, found = calls_in_process(path, max(1, trials * 9 // 10 // len(places) // VARIED), rng)
        total, failures, routes = total + count, failures + [f"{name}: {f}" for f in found], routes + 1
    count, found = calls_of_galleries(applications.faces(), max(1, trials // 10 // VARIED), rng)
    total, failures, routes = total + count, failures + [f"galleries: {f}" for f in found], routes + 1
    import schemathesis

    with served(places["table"]) as server:
        count, found = explore(schemathesis.openapi.from_url(f"{server.url}/openapi.json", config=config()), max(1, trials // 10 // VARIED), rng, server.url)
        if server.process.poll() is not None:
            failures.append("the server ended")
    total, failures = total + count, failures + [f"over the wire: {f}" for f in found]
    caught = 0
    for plant in PLANTED:
        with plant():
            caught += bool(calls_in_process(places["table"], 80, rng, "/predict")[1])
    control = Control("a wrong type in answers, an unexpected exception, errors in another form", len(PLANTED), caught)
    return Outcome(total, failures, control, {"applications": routes, "calls over a socket": count})


HARNESSES = (Harness("S1", "any call on any route is answered as the OpenAPI document says, never with a fault", run, short=150, long=10_000),)
