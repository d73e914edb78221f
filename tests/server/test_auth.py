import base64
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from thuja.core.errors import ThujaError
from thuja.server import auth
from thuja.server.app import _routes
from thuja.server.settings import ServeSettings

TOKEN = "a-token-of-some-length"
MAKE_ONE = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
ROUTES = [(sorted(route.methods - {"HEAD"})[0], route.path) for route in _routes()]


@pytest.fixture
def closed(start) -> TestClient:
    client: TestClient = start("text", token=TOKEN)
    return client


@pytest.mark.parametrize("header", [None, "Bearer wrong-token-of-some-length", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ",
                                    f"Token {TOKEN}", TOKEN, "Basic !!",
                                    "Basic " + base64.b64encode(b"user:wrong").decode(), "Bearer \xff"])
def test_no_route_but_liveness_is_open(closed, header):
    open_routes = set()
    for method, path in ROUTES:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = closed.request(method, path.format(name="toy-text", version="1", gallery="club", person="Ann"), headers=headers)
        if answer.status_code != 401:
            open_routes.add(path)
    assert open_routes == {"/live", "/v2/health/live"}


@pytest.mark.parametrize("path", ["/docs/", "//", "/LIVE", "/live/", "/live/../schema", "/%6cive/x", "/nothing"])
def test_no_spelling_of_a_path_gets_past_the_gate(closed, path):
    assert closed.get(path).status_code == 401


def test_the_token_opens_every_route(closed):
    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()):
        for method, path in ROUTES:
            answer = closed.request(method, path.format(name="toy-text", version="1", gallery="club", person="Ann"), headers={"Authorization": header})
            assert answer.status_code != 401, path


def test_a_refusal_says_how_to_come_in_and_a_browser_is_asked(closed):
    answer = closed.get("/schema")
    assert answer.json() == {
        "type": "about:blank", "title": "Unauthorized", "status": 401,
        "detail": "header Authorization: expected Bearer and the token, found nothing. Send `Authorization: Bearer <token>`.",
        "where": "header Authorization", "expected": "Bearer and the token", "found": "nothing", "fix": "Send `Authorization: Bearer <token>`."}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert closed.get("/", headers={"Accept": "text/html"}).headers["www-authenticate"] == 'Basic realm="thuja"'


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:8000", 200), ("[::1]", 200), ("evil.example", 421),
                                              ("127.0.0.1.evil.example:8000", 421), ("", 421)])
def test_an_open_server_answers_only_by_the_names_of_this_machine(start, host, status):
    assert start("text").get("/schema", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
                                                ("10.0.0.1", False), ("example.org", False), ("", False)])
def test_what_is_this_machine(host, loopback):
    assert auth.is_loopback(host) is loopback


def test_listening_beyond_this_machine_needs_a_token():
    with pytest.raises(ThujaError) as error:
        auth.token(ServeSettings(host="0.0.0.0"), {})
    assert str(error.value) == ("serve.host: expected a token, to listen beyond this machine, found host 0.0.0.0 and no token. "
                                "Set THUJA_TOKEN or --token-file, or listen on 127.0.0.1.")
    assert auth.token(ServeSettings(host="0.0.0.0"), {"THUJA_TOKEN": TOKEN}) == TOKEN
    assert auth.token(ServeSettings(), {}) is None


@pytest.mark.parametrize("bad", ["", "short", "with a space in it ok", "mit-ümlaut-und-mehr-zeichen"])
def test_an_unsafe_token_is_refused(bad):
    with pytest.raises(ThujaError) as error:
        auth.token(ServeSettings(), {"THUJA_TOKEN": bad})
    assert str(error.value) == f"THUJA_TOKEN: expected a token of at least 16 plain characters, found {len(bad)} characters. {MAKE_ONE}"


def test_the_token_file_wins_and_must_be_readable(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert auth.token(ServeSettings(token_file=file), {"THUJA_TOKEN": "another-token-of-length"}) == TOKEN
    with pytest.raises(ThujaError) as error:
        auth.token(ServeSettings(token_file=tmp_path / "none"), {})
    assert str(error.value) == f"{tmp_path}/none: expected a readable file with a token, found FileNotFoundError. Check the path and its permissions."
