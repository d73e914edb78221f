"""The routes of the server, and the application made of them."""

import asyncio
import contextlib
import ctypes
import functools
import importlib.metadata
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from thuja.core.errors import ArtifactError, DataError
from thuja.server import chat, gallery_routes, metrics, openapi, page, protocol_v2, stream, wire
from thuja.server.auth import Gate
from thuja.server.edge import INFER, Edge, Endpoint
from thuja.server.gallery import Galleries
from thuja.server.limits import read_body, seconds_allowed, while_wanted
from thuja.server.model import Model
from thuja.server.problem import Refusal, placed
from thuja.server.service import Service
from thuja.server.settings import ServeSettings

if TYPE_CHECKING:
    from thuja.artifact.runtime import Predictor
    from thuja.life.deployment import Deployment
    from thuja.server.in_service import Asking, InService

MODEL_HEADER = "Thuja-Model"
"""The digest of the artefact that answered."""
PLAN = "plan.json"
"""What makes a folder a deployment."""


def opened(path: Path, threads: int = 1) -> "Predictor":
    """A verified, loaded and warmed-up artefact; old or new where it is being replaced. Raises: ArtifactError."""
    from thuja.artifact.folder import Artifact
    from thuja.artifact.runtime import Predictor
    from thuja.core.storage import read_folder

    return _warmed(read_folder(path, lambda place: Predictor(Artifact.open(place), threads)))


def _warmed(predictor: "Predictor") -> "Predictor":
    predictor.warm_up()
    _give_memory_back()
    return predictor


def _give_memory_back() -> None:
    """Return what the runtime needed only while loading (up to 45 MB); glibc would keep it, other C libraries have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def create_app(source: "Path | Predictor | Deployment", settings: ServeSettings, token: str | None = None, gallery_key: bytes | None = None) -> Edge:
    """The ASGI application for an artefact, or for a deployment, of which the champion answers. With a token every route but liveness asks for it.

    Raises: ArtifactError; DeploymentError where nobody answers yet; StorageError for a folder of galleries that cannot be written.
    """
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of every malformed form: a client could fill the log
    life = _life(source, settings)
    predictor = life.first if life is not None else opened(source, settings.threads) if isinstance(source, Path) else cast("Predictor", source)
    galleries = None if settings.galleries is None else Galleries(settings.galleries, settings, gallery_key)
    service = Service(predictor, settings, lambda path: opened(path, settings.threads), galleries, life)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    routes = _routes() if life is None else [*_routes(), *_life_routes()]
    return Edge(Router(routes, redirect_slashes=False, lifespan=lifespan), service, Gate(token), {"/predict": predict, INFER: v2_infer})


def _life(source: "Path | Predictor | Deployment", settings: ServeSettings) -> "InService | None":
    """The life of what is served, where it is a deployment; nothing of it is imported otherwise."""
    if isinstance(source, Path) and not (source / PLAN).is_file():
        return None
    from thuja.artifact.runtime import Predictor
    from thuja.life.deployment import Deployment
    from thuja.server.in_service import InService

    if isinstance(source, Predictor):
        return None
    deployment = Deployment.open(source) if isinstance(source, Path) else source
    return InService(deployment, lambda artifact: _warmed(Predictor(artifact, settings.threads)), settings)


def _life_routes() -> list[Route]:
    """What is asked only of a deployment."""
    from thuja.server import feedback, life_routes

    return [*feedback.routes(), *life_routes.routes()]


def _routes() -> list[Route]:
    get: list[tuple[str, Endpoint]] = [
        ("/v1/models", v1_models), ("/v1/models/{name}", v1_model),
        ("/", home), ("/docs", docs), ("/static/{name}", static), ("/schema", schema), ("/openapi.json", openapi_json), ("/metrics", metrics_text),
        ("/live", live), ("/ready", ready), ("/v2", v2_server), ("/v2/health/live", v2_live), ("/v2/health/ready", v2_ready)]
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        get += [(model, v2_model), (f"{model}/ready", v2_model_ready)]
    post: list[tuple[str, Endpoint]] = [
        ("/predict", predict), ("/v1/chat/completions", v1_chat_completions), ("/v1/completions", v1_completions), (INFER, v2_infer),
        ("/v2/models/{name}/versions/{version}/infer", v2_infer), ("/admin/swap", admin_swap)]
    # what is asked most comes first: routes are tried one after the other
    return [*(Route(path, endpoint, methods=["POST"]) for path, endpoint in post), *(Route(path, endpoint, methods=["GET"]) for path, endpoint in get),
            *gallery_routes.routes()]


async def home(request: Request) -> Response:
    """The page to try the model in."""
    service = _service(request)
    return page.home(service.model, galleries=service.galleries is not None)


async def docs(request: Request) -> Response:
    """The interface, for people."""
    return page.docs(_document(request))


async def static(request: Request) -> Response:
    """Style and script of the pages."""
    return page.static(request.path_params["name"])


async def schema(request: Request) -> Response:
    """The typed fields in and out."""
    return Response(_service(request).model.schema.model_dump_json(), media_type="application/json")


async def openapi_json(request: Request) -> Response:
    """The interface as OpenAPI 3.1."""
    return _json(_document(request))


async def metrics_text(request: Request) -> Response:
    """Counters for Prometheus."""
    return Response(_service(request).metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def live(request: Request) -> Response:
    """Whether the process turns over."""
    return _json({"live": True})


async def ready(request: Request) -> Response:
    """Whether requests are welcome: the model has just answered one, and the server is not going away."""
    reason = await _service(request).not_ready()
    return _json({"ready": not reason, **({"reason": reason} if reason else {})}, 503 if reason else 200)


async def predict(request: Request) -> Response:
    """Answer one row or many; one of them piece by piece, where the client asks for events."""
    service = _asked(request)
    seconds = seconds_allowed(request.headers, service.settings)
    with contextlib.ExitStack() as held:
        body = await read_body(request.receive, request.headers, service.settings, held.enter_context(service.bodies.tally()))
        if service.life is None:
            return await _predicted(request, body, held, service.model, seconds, None)
        return await service.life.ask(functools.partial(_predicted, request, body, held), seconds)


async def _predicted(request: Request, body: bytes, held: contextlib.ExitStack, model: Model, seconds: float, asking: "Asking | None") -> Response:
    with contextlib.ExitStack() as mine:
        mine.enter_context(model.used())
        question = await wire.read(body, request.headers, model.schema, _service(request).settings.max_rows)
        if stream.wanted(request.headers):
            if not question.single:
                raise DataError("rows", expected="one object, to stream its answer", found="rows", fix="Send the row alone, or do not ask for events.")
            mine.enter_context(model.batcher.room(1, whole=False))
            mine.push(held.pop_all())
            done = None if asking is None else functools.partial(asking.answered, question.rows, 1, single=True)
            return await stream.begin(stream.pieces(model, question.rows, done), request, mine, seconds, _headers(model, asking))
        try:
            outputs = await while_wanted(model.answer(question.rows, question.count), request.receive, seconds)
        except DataError as error:
            raise placed(error, None) if question.single else error from error
        answers = wire.answers(outputs, model.schema, question.single)
        if asking is not None:
            if asking.strict:
                asking.check(outputs, question.count)
            asking.answered(question.rows, question.count, outputs, single=question.single)
        return Response(answers, headers=_headers(model, asking), media_type="application/json")


async def v1_chat_completions(request: Request) -> Response:
    """Answer a conversation, as OpenAI's API does."""
    return await _v1(request, dialogue=True)


async def v1_completions(request: Request) -> Response:
    """Go on with a text, as OpenAI's API does."""
    return await _v1(request, dialogue=False)


async def _v1(request: Request, dialogue: bool) -> Response:
    service = _asked(request)
    seconds = seconds_allowed(request.headers, service.settings)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "header Content-Type", expected="application/json", found=repr(kind[:60]), fix="Send JSON.")
    with contextlib.ExitStack() as held:
        body = await read_body(request.receive, request.headers, service.settings, held.enter_context(service.bodies.tally()))
        attempt = functools.partial(_chatted if dialogue else _completed, request, body, held)
        return await attempt(service.model, seconds, None) if service.life is None else await service.life.ask(attempt, seconds)


async def _chatted(request: Request, body: bytes, held: contextlib.ExitStack, model: Model, seconds: float, asking: "Asking | None") -> Response:
    return await _said(request, await _question(body, model, dialogue=True), held, model, seconds, asking)


async def _completed(request: Request, body: bytes, held: contextlib.ExitStack, model: Model, seconds: float, asking: "Asking | None") -> Response:
    return await _said(request, await _question(body, model, dialogue=False), held, model, seconds, asking)


async def _question(body: bytes, model: Model, dialogue: bool) -> chat.Question:
    return chat.read(body, model, dialogue) if len(body) < wire.INLINE_BYTES else await asyncio.to_thread(chat.read, body, model, dialogue)


async def _said(request: Request, question: chat.Question, held: contextlib.ExitStack, model: Model, seconds: float, asking: "Asking | None") -> Response:
    done = None if asking is None else functools.partial(asking.answered, question.rows, question.choices, single=question.choices == 1)
    with contextlib.ExitStack() as mine:
        mine.enter_context(model.used())
        mine.enter_context(model.batcher.room(question.choices, whole=not question.stream))
        if question.stream:
            mine.push(held.pop_all())
            return await stream.begin(chat.events(model, question, done), request, mine, seconds, _headers(model, asking))
        value = await while_wanted(chat.answer(model, question, done), request.receive, seconds)
        return Response(msgspec.json.encode(value), headers=_headers(model, asking), media_type="application/json")


def _headers(model: Model, asking: "Asking | None") -> dict[str, str]:
    """Which artefact answered and, where a deployment is served, the name of the answer."""
    return {MODEL_HEADER: model.digest} if asking is None else {MODEL_HEADER: model.digest, **asking.headers}


async def v1_models(request: Request) -> Response:
    """The model, as OpenAI's API lists it."""
    model = _service(request).model
    chat.of(model)
    return _json({"object": "list", "data": chat.names(model)})


async def v1_model(request: Request) -> Response:
    """The model by its name."""
    model, name = _service(request).model, request.path_params["name"]
    chat.of(model)
    if name != model.kind:
        raise chat.refused("model", repr(model.kind), repr(name[:60]), code="model_not_found", status=404)
    return _json(chat.names(model)[0])


async def admin_swap(request: Request) -> Response:
    """Put another artefact of the models folder in service: `{"name": "..."}`. Only with a token, and only where the operator named such a folder."""
    service = _service(request)
    if service.life is not None:
        raise Refusal(409, "/admin/swap", expected="an artefact that is served by itself", found="a deployment, whose ledger says who answers",
                      fix="Use `thuja promote` or `thuja rollback`.")
    bearer = request.headers.get("authorization", "").lower().startswith("bearer ")  # not the Basic login that a browser repeats by itself
    root = service.settings.models
    if root is None or not bearer or not request.scope["closed"]:
        raise Refusal(403, "/admin/swap", expected="a server with a token and a models folder", found="none",
                      fix="Start it with THUJA_TOKEN and --models, and send the token as Bearer.")
    with service.bodies.tally() as tally:
        body = await read_body(request.receive, request.headers, service.settings, tally)
        try:
            name = msgspec.json.decode(body, type=dict[str, str])["name"]
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
            raise Refusal(400, "body", expected='{"name": "..."}', found="something else", fix="Name a folder in the models folder.") from error
        try:
            model = await service.swap(below(root, name))
        except ArtifactError as error:
            raise Refusal(409, "name", expected=error.expected, found=error.found, fix=error.fix) from error
    return _json({"model": model.digest})


def below(root: Path, name: str) -> Path:
    """The real path of the artefact `name` in `root`. Raises: Refusal 404 for a name that is not a plain one, leads elsewhere, or is not there."""
    missing = Refusal(404, "name", expected="an artefact in the models folder", found=repr(name[:60]), fix="Send a folder's plain name.")
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name or len(name) > 200:
        raise missing
    real, home_of_all = (root / name).resolve(), root.resolve()
    if real.parent != home_of_all or not real.is_dir():
        raise missing
    return real


async def v2_server(request: Request) -> Response:
    """Name, version and extensions of the server."""
    return _json(protocol_v2.server_metadata(importlib.metadata.version("thuja")))


async def v2_live(request: Request) -> Response:
    """Whether the process turns over."""
    return _json({"live": True})


async def v2_ready(request: Request) -> Response:
    """Whether requests are welcome."""
    reason = await _service(request).not_ready()
    return _json({"ready": not reason}, 503 if reason else 200)


async def v2_model(request: Request) -> Response:
    """What a model takes and gives."""
    model = _service(request).model
    return _json(protocol_v2.model_metadata(model, protocol_v2.find(model, *_named(request))))


async def v2_model_ready(request: Request) -> Response:
    """Whether a model may be asked."""
    service = _service(request)
    protocol_v2.find(service.model, *_named(request))
    reason = await service.not_ready()
    return _json({"name": request.path_params["name"], "ready": not reason}, 503 if reason else 200)


async def v2_infer(request: Request) -> Response:
    """Answer tensors with tensors."""
    service = _asked(request)
    seconds = seconds_allowed(request.headers, service.settings)
    with service.bodies.tally() as tally, service.model.used() as model:
        encoded = protocol_v2.find(model, *_named(request))
        body = await read_body(request.receive, request.headers, service.settings, tally)
        length = request.headers.get(protocol_v2.HEADER_LENGTH)
        response = await while_wanted(protocol_v2.infer(model, encoded, body, length, service.settings), request.receive, seconds)
        response.headers[MODEL_HEADER] = model.digest
        return response


def _asked(request: Request) -> Service:
    """The service, where a question may be answered. Raises: Refusal 410 after the hard end of a deployment."""
    service = _service(request)
    if service.life is not None:
        service.life.refuse_ended()
    return service


def _service(request: Request) -> Service:
    service: Service = request.app
    return service


def _named(request: Request) -> tuple[str, str | None]:
    return request.path_params["name"], request.path_params.get("version")


def _document(request: Request) -> dict[str, Any]:
    service = _service(request)
    return openapi.document(service.model, service.settings, closed=request.scope["closed"], life=service.life is not None)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
