"""Who may come in: a bearer token compared in constant time, and no listening beyond this machine without one."""

import base64
import binascii
import functools
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping

from starlette.datastructures import Headers

from thuja.core.errors import SpecError
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

VARIABLE = "THUJA_TOKEN"
SHORTEST = 16
OPEN = frozenset({"/live", "/v2/health/live"})
"""Liveness says nothing about the model, and whoever restarts a server has no token."""
_MAKE_ONE = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token(settings: ServeSettings, environment: Mapping[str, str]) -> str | None:
    """The token to ask for, from the file or from THUJA_TOKEN; None for none.

    Raises: SpecError for a file that cannot be read, a token too short to be safe, or a host beyond this machine without one.
    """
    found, where = environment.get(VARIABLE), VARIABLE
    if settings.token_file is not None:
        where = str(settings.token_file)
        try:
            found = settings.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(where, expected="a readable file with a token", found=type(error).__name__, fix="Check the path and its permissions.") from error
    if found is not None and (len(found) < SHORTEST or not found.isascii() or not found.isprintable() or " " in found):
        raise SpecError(where, expected=f"a token of at least {SHORTEST} plain characters", found=f"{len(found)} characters", fix=_MAKE_ONE)
    if found is None and not is_loopback(settings.host):
        raise SpecError("serve.host", expected="a token, to listen beyond this machine", found=f"host {settings.host} and no token",
                        fix=f"Set {VARIABLE} or --token-file, or listen on 127.0.0.1.")
    return found


class Gate:
    """Lets a request in or raises the refusal."""

    def __init__(self, token: str | None) -> None:
        self._wanted = None if token is None else _hash(token)

    @property
    def closed(self) -> bool:
        """Whether a token is asked for."""
        return self._wanted is not None

    def check(self, path: str, headers: Headers) -> None:
        """Raises: Refusal 401 without the right token, 421 where an open server is called by another name than this machine's.

        The second stops a web page that points its own name at 127.0.0.1 (DNS rebinding) from reading answers through a visitor's browser.
        """
        if path in OPEN:
            return
        if self._wanted is None:
            host = headers.get("host", "").rsplit(":", 1)[0] if not headers.get("host", "").endswith("]") else headers["host"]
            if not is_loopback(host):
                raise Refusal(421, "header Host", expected="localhost, 127.0.0.1 or [::1]", found=repr(host[:60]), fix="Start the server with a token.")
        elif not hmac.compare_digest(_hash(_given(headers.get("authorization", ""))), self._wanted):
            challenge = 'Basic realm="thuja"' if "text/html" in headers.get("accept", "") else "Bearer"  # Chromium shows no login where it reads both
            raise Refusal(401, "header Authorization", expected="Bearer and the token", found="another one" if "authorization" in headers else "nothing",
                          fix="Send `Authorization: Bearer <token>`.", headers={"WWW-Authenticate": challenge})


def _given(header: str) -> str:
    """The token in the header; a browser that opens the page sends it as the password of a Basic login."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return value.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
