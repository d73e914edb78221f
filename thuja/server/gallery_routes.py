"""The routes of galleries: enrol somebody, search, compare with one person, list, delete; and the page for people. Only where the model makes vectors
(`Embedder`), the operator named a folder, and the server has a token."""

import asyncio
import contextlib
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thuja.codec import Embedder
from thuja.core.errors import DataError, did_you_mean
from thuja.server import page
from thuja.server.frugal import few_items
from thuja.server.gallery import LONGEST, NAME, PERSON, Galleries, Match
from thuja.server.limits import read_body, seconds_allowed, while_wanted
from thuja.server.model import Model
from thuja.server.problem import Refusal, placed
from thuja.server.service import Service
from thuja.server.wire import MET

MOST_MATCHES = 100
RATE = 0.001
"""The false accept rate of a search that names none."""
PARTS = 1000
"""Values in a request, besides which it is refused before it is read."""
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST, pattern=PERSON)]


class Enrol(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an enrolment."""

    person: Text
    images: list[str]
    """Files as base64."""


class Search(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a search; with `person`, of a comparison with that person alone."""

    image: str
    top: Annotated[int, msgspec.Meta(ge=1, le=MOST_MATCHES)] = 5
    far: float | None = None
    person: Text | None = None


Body = TypeVar("Body", Enrol, Search)


def routes() -> list[Route]:
    """All of them."""
    place = "/galleries/{gallery}"
    return [Route(f"{place}/search", gallery_search, methods=["POST"]), Route(f"{place}/people", gallery_enrol, methods=["POST"]),
            Route(f"{place}/people/{{person}}", gallery_remove, methods=["DELETE"]), Route(place, gallery_drop, methods=["DELETE"]),
            Route(place, gallery_people, methods=["GET"]), Route("/galleries", gallery_list, methods=["GET"]), Route("/gallery", gallery_page, methods=["GET"])]


async def gallery_page(request: Request) -> Response:
    """The page to enrol, search and delete in."""
    service: Service = request.app
    _embedder(service.model)
    return page.gallery(service.model, service.settings, open=service.galleries is not None and request.scope["closed"])


async def gallery_list(request: Request) -> Response:
    """Which galleries there are."""
    _, galleries = _admitted(request)
    return _json({"galleries": await asyncio.to_thread(galleries.names)})


async def gallery_people(request: Request) -> Response:
    """Who is in a gallery, by name, with the time of enrolment and the number of pictures."""
    service, galleries = _admitted(request)
    gallery = await asyncio.to_thread(galleries.read, request.path_params["gallery"])
    people = [{"person": name, "enrolled": known.enrolled, "pictures": len(known.vectors)} for name, known in sorted(gallery.people.items())]
    return _json({"model": gallery.model, "usable": gallery.model == service.model.digest, "people": people})


async def gallery_enrol(request: Request) -> Response:
    """Put somebody into a gallery; the first one makes it. Pictures are turned into vectors and not kept."""
    service, galleries = _admitted(request)
    name = _name(request)
    with contextlib.ExitStack() as held:
        model = held.enter_context(service.model.used())
        asked = await _read(request, service, held, Enrol)
        most = service.settings.max_pictures
        if not 1 <= len(asked.images) <= most:
            raise Refusal(413 if asked.images else 422, "images", expected=f"1 to {most} pictures", found=str(len(asked.images)), fix="Send a few good ones.")
        person = _person(asked.person)
        vectors = await _vectors(request, service, model, asked.images, "images[{}]")
        gallery = await asyncio.to_thread(galleries.enrol, name, model.digest, person, vectors)
    return _json({"person": person, "pictures": len(vectors), "people": len(gallery.people)}, 201)


async def gallery_search(request: Request) -> Response:
    """Who of a gallery is most like a picture, and whether the likeness passes the threshold; or whether it is one person."""
    service, galleries = _admitted(request)
    name = _name(request)
    with contextlib.ExitStack() as held:
        model = held.enter_context(service.model.used())
        asked = await _read(request, service, held, Search)
        embedder = _embedder(model)
        rate = RATE if asked.far is None else asked.far
        if rate not in embedder.thresholds():
            known = " or ".join(f"{rate:g}" for rate in sorted(embedder.thresholds()))
            raise DataError("far", expected=f"a false accept rate that was measured, {known}", found=f"{rate:g}", fix="Choose one of these.")
        gallery = await asyncio.to_thread(galleries.of_model, name, model.digest)
        if asked.person is not None and asked.person not in gallery.people:
            raise Refusal(404, "person", expected="someone who is enrolled", found=repr(asked.person[:60]), fix=did_you_mean(asked.person, gallery.people))
        vector = (await _vectors(request, service, model, [asked.image], "image"))[0]
        compared = gallery if asked.person is None else type(gallery)(gallery.model, {asked.person: gallery.people[asked.person]})
        matches = await asyncio.to_thread(compared.search, vector, asked.top)
    least = threshold(model, rate)
    return _json({"matches": [_match(match, least) for match in matches], "threshold": least, "far": rate, "comparisons": compared.pictures})


async def gallery_remove(request: Request) -> Response:
    """Take somebody out of a gallery."""
    _, galleries = _admitted(request)
    gallery = await asyncio.to_thread(galleries.remove, _name(request), request.path_params["person"])
    return _json({"person": request.path_params["person"], "people": len(gallery.people)})


async def gallery_drop(request: Request) -> Response:
    """Delete a gallery with all who are in it."""
    _, galleries = _admitted(request)
    name = _name(request)
    await asyncio.to_thread(galleries.drop, name)
    return _json({"gallery": name})


def threshold(model: Model, rate: float) -> float | None:
    """From which score on two pictures count as one person's, at this false accept rate: what the evaluation measured on the test rows; None where there was
    none, or where too few pairs made it undefined."""
    names, scores = _embedder(model).thresholds(), model.predictor.artifact.scores
    figure = scores.get(str(scores.get("part", "test")), {}).get(names[rate], {})
    value = figure.get("value") if isinstance(figure, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _match(match: Match, least: float | None) -> dict[str, Any]:
    return {"person": match.person, "score": round(match.score, 6), "accepted": None if least is None else match.score >= least}


def _embedder(model: Model) -> Embedder:
    if model.embedder is None:
        raise Refusal(404, "address", expected="a model that makes vectors to compare", found=model.kind, fix="Ask POST /predict; see /docs.")
    return model.embedder


def _admitted(request: Request) -> tuple[Service, Galleries]:
    """Raises: Refusal 404 where the model has no galleries, 403 where the operator or the caller lacks something."""
    service: Service = request.app
    _embedder(service.model)
    bearer = request.headers.get("authorization", "").lower().startswith("bearer ")  # not the Basic login that a browser repeats by itself
    if service.galleries is None or not bearer or not request.scope["closed"]:
        raise Refusal(403, "/galleries", expected="a server with a token and a folder for galleries", found="none",
                      fix="Start it with THUJA_TOKEN and --galleries, and send the token as Bearer.")
    return service, service.galleries


def _name(request: Request) -> str:
    name: str = request.path_params["gallery"]
    if not NAME.fullmatch(name):
        raise Refusal(404, "gallery", expected="a name of 1 to 64 letters, digits, - and _", found=repr(name[:60]), fix="Send a gallery's plain name.")
    return name


def _person(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise DataError("person", expected="a printable name without spaces at its ends", found=repr(name[:60]), fix="Write it as people read it.")
    return name


async def _read(request: Request, service: Service, held: contextlib.ExitStack, kind: type[Body]) -> Body:
    """The body of a request, held in memory as long as `held`."""
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given != "application/json":
        raise Refusal(415, "header Content-Type", expected="application/json", found=repr(given[:60]), fix="Send JSON, pictures as base64.")
    body = await read_body(request.receive, request.headers, service.settings, held.enter_context(service.bodies.tally()))
    if not few_items(body, PARTS):
        raise Refusal(413, "body", expected=f"at most {PARTS} values", found="more", fix="Send fewer pictures.")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _unfit(str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "body", expected="JSON", found=str(error)[:100] or "nothing", fix="Check quotes, commas and brackets.") from error


def _unfit(message: str) -> DataError:
    """msgspec says what it wanted (`Expected ..., got ... - at ...`)."""
    what, _, place = message.partition(" - at ")
    where = place.strip("`").removeprefix("$").removeprefix(".") or "body"
    if what.startswith("Object missing required field"):
        return DataError(what.rpartition(" ")[2].strip("`"), expected="a value", found="nothing", fix="See /docs for the fields.")
    if what.startswith("Object contains unknown field"):
        return DataError(what.rpartition(" ")[2].strip("`"), expected="a field of this route", found="an unknown one", fix="See /docs for the fields.")
    wanted, _, met = what.removeprefix("Expected ").partition(", got ")
    kind, _, limits = wanted.replace("`", "").partition(" ")
    found = MET.get(met.strip("`"), met.strip("`") or "another value")
    return DataError(where, expected=f"{MET.get(kind, kind)} {limits}".strip(), found=found, fix="See /docs for the fields.")


async def _vectors(request: Request, service: Service, model: Model, files: list[str], where: str) -> np.ndarray:
    """float32 [files, dim]. Raises: DataError naming the file by `where` and its place; as `Model.answer`."""
    source, output = _embedder(model).enrolled()
    field = model.schema.inputs[source]
    values = [field.from_json(file, where.format(i)) for i, file in enumerate(files)]
    seconds = seconds_allowed(request.headers, service.settings)
    try:
        answered = await while_wanted(model.answer({source: values}, len(values)), request.receive, seconds)
    except DataError as error:
        plain = placed(error, None)
        place = error.where.partition("[")[2].partition("]")[0]
        raise DataError(where.format(place or 0), expected=plain.expected, found=plain.found, fix=plain.fix) from error
    return np.asarray(answered[output], np.float32)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
