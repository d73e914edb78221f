"""Errors as answers: problem JSON (RFC 9457) with the four parts; under /v2 and /v1 in the forms of those protocols."""

import http
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from thuja.core.errors import DataError, LimitError, ShapeError, ThujaError

CHAT = "/v1/"
"""Where errors have the form of chat completions."""
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_ROW = re.compile(r"rows\[\d+\]\.?")


class Refusal(ThujaError):
    """A request that gets this HTTP status and nothing else."""

    code: str | None = None
    """What a program may go by, where the protocol has words for it."""

    def __init__(self, status: int, where: str, *, expected: str, found: str, fix: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(where, expected=expected, found=found, fix=fix)
        self.status = status
        self.headers = dict(headers or {})


def status_of(error: ThujaError) -> int:
    """The HTTP status an error of ours stands for; 500 for one that is not about the request."""
    if isinstance(error, Refusal):
        return error.status
    for kind, status in ((ShapeError, 400), (LimitError, 413), (DataError, 422)):
        if isinstance(error, kind):
            return status
    return 500


def response(error: ThujaError, path: str) -> Response:
    """The answer to a request on `path` that ended in `error`."""
    status, body = told(error, path)
    kind = "application/json" if path.startswith(("/v2", CHAT)) else "application/problem+json"
    return Response(msgspec.json.encode(body), status, error.headers if isinstance(error, Refusal) else {}, kind)


def told(error: ThujaError, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body of an error on `path`. What is not the client's business (a 500) is not told."""
    status = status_of(error)
    if status == 500 and not isinstance(error, Refusal):
        error = Refusal(500, "server", expected="an answer", found="a fault that was logged", fix="Try again; if it stays, show the log to whoever runs it.")
    if path.startswith("/v2"):
        return 400 if status == 422 else status, {"error": str(error)}  # the protocol knows no 422
    if path.startswith(CHAT):
        return _chat(error, 400 if status == 422 else status)
    title = http.HTTPStatus(status).phrase
    return status, {"type": "about:blank", "title": title, "status": status, "detail": str(error), **error.parts()}


def _chat(error: ThujaError, status: int) -> tuple[int, dict[str, Any]]:
    """Source: the error object of OpenAI's API reference; `param` is the parameter to blame, null where none is."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    blamed = None if error.where in ("body", "server", "address", "request") or error.where.startswith("header ") else error.where
    code = error.code if isinstance(error, Refusal) and error.code else _CODES.get(status)
    return status, {"error": {"message": str(error), "type": kind, "param": blamed, "code": code}}


def placed(error: ThujaError, row: int | None) -> DataError:
    """The same error, said of row `row` of the request (None: of the only one, sent without `rows`).

    >>> placed(DataError("rows[0].photo", expected="a picture", found="text"), 7).where
    'rows[7].photo'
    """
    field = _ROW.sub("", error.where, count=1)
    where = field or "body" if row is None else f"rows[{row}]" + (f".{field}" if field else "")
    return DataError(where, expected=error.expected, found=error.found, fix=error.fix)


def row_of(error: ThujaError) -> int:
    """The row an error names, 0 if none."""
    match = _ROW.match(error.where)
    return int(match.group()[5:].rstrip("].")) if match else 0
