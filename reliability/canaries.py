"""Secrets with a name of their own are put wherever a secret may stand (the environment, the token, addresses with passwords, headers, query strings) while an
application goes its whole way; then everything it left behind is searched for them: runs, cache, artefact, reports, logs, terminal, answers (X3).

A canary is searched for as it is, in hexadecimal, in base64 and percent-encoded.
"""

import base64
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from reliability.outcome import Control, Harness, Outcome

VARIABLES = ("THUJA_TOKEN", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "DATABASE_URL", "MLFLOW_TRACKING_PASSWORD", "SSH_PRIVATE_KEY", "OPENAI_API_KEY", "PGPASSWORD",
             "GIT_ASKPASS_TOKEN", "SECRET_KEY")
HEADERS = ("Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Forwarded-User", "X-Request-Id", "Origin", "Referer", "User-Agent", "Accept")
ROUTES = ("/", "/predict", "/schema", "/openapi.json", "/metrics", "/ready", "/live", "/v2", "/v2/models/model/infer", "/admin/swap", "/nowhere")
SCHEMES = ("https", "s3", "postgresql")
PLANTS = {"token": "an error that repeats the token", "environment": "a run that keeps the environment", "access-log": "a log of requests with their queries"}


class Text(NamedTuple):
    """Something that the application left behind."""

    where: str
    data: bytes


class Canaries:
    """Made-up secrets, each with the place where it was put."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.places = rng, dict[str, str]()

    def new(self, place: str) -> str:
        """Another secret for this place."""
        secret = f"cnry{self.rng.getrandbits(96):024x}"
        self.places[secret] = place
        return secret

    def found_in(self, texts: list[Text]) -> list[str]:
        """A line for each secret that turned up, and where."""
        coded = {form: (secret, how) for secret in self.places for form, how in forms(secret)}
        pattern = re.compile(b"|".join(re.escape(form) for form in coded))
        hits = {(coded[match.group()], text.where) for text in texts for match in pattern.finditer(text.data)}
        return sorted(f"the secret in {self.places[secret]} turned up ({how}) in {where}" for (secret, how), where in hits)


def forms(secret: str) -> Iterator[tuple[bytes, str]]:
    """How a secret may look."""
    yield secret.encode(), "as it is"
    yield secret.encode().hex().encode(), "in hexadecimal"
    yield base64.b64encode(secret.encode())[:-4], "in base64"
    yield quote(f"/{secret}", safe="").encode(), "percent-encoded"


def rows(rng: random.Random) -> str:
    """A small real problem: two columns and whether their sum is large."""
    lines = ["a,b,y"]
    for _ in range(300):
        a, b = rng.random(), rng.random()
        lines.append(f"{a:.4f},{b:.4f},{'large' if a + b > 1 else 'small'}")
    return "\n".join(lines) + "\n"


def thuja(words: list[str], folder: Path, environment: dict[str, str], plant: str) -> Text:
    """One command in a process of its own, and all that it said."""
    done = subprocess.run([sys.executable, "-c", START, plant, *words], cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
    return Text(f"the output of `thuja {words[0]}`", done.stdout + done.stderr)


START = """
import sys
from reliability.canaries import plant
plant(sys.argv[1])
from thuja.__main__ import main
main(sys.argv[2:])
"""


def plant(name: str) -> None:
    """Put a bug into this process: nothing for an unknown name."""
    if name == "token":
        from thuja.server import auth
        from thuja.server.problem import Refusal

        right = auth.Gate.check

        def check(gate: Any, path: str, headers: Any) -> None:
            try:
                right(gate, path, headers)
            except Refusal as refusal:
                refusal.found = headers.get("authorization", "nothing")
                raise

        setattr(auth.Gate, "check", check)  # noqa: B010  # a planted bug is no business of the type checker
    if name == "environment":
        from thuja.run import Run

        right_write = Run.write

        def write(run: Any, file: str, data: Any) -> None:
            right_write(run, file, data | {"environment": dict(os.environ)} if file == "data.json" else data)

        setattr(Run, "write", write)  # noqa: B010
    if name == "access-log":
        import uvicorn

        real = uvicorn.Config.__init__

        def init(config: Any, *positional: Any, **named: Any) -> None:
            real(config, *positional, **named | {"access_log": True, "log_config": uvicorn.config.LOGGING_CONFIG, "log_level": "info"})

        setattr(uvicorn.Config, "__init__", init)  # noqa: B010


def life(folder: Path, canaries: Canaries, environment: dict[str, str], plant: str) -> list[Text]:
    """From rows to an artefact, with addresses and options that hold secrets tried on the way."""
    (folder / "rows.csv").write_text(rows(canaries.rng))
    said = [thuja(words, folder, environment, plant) for words in (
        ["init", "rows.csv", "--target", "y"], ["check"], ["train", "--set", "train.steps=20"], ["evaluate"], ["export"],
        *(["train", "--set", f"data.path={scheme}://user:{canaries.new('an address in data.path')}@127.0.0.1:9/rows"] for scheme in SCHEMES),
        ["check", f"https://user:{canaries.new('the address of a spec')}@127.0.0.1:9/thuja.yaml"],
        ["predict", f"https://user:{canaries.new('the address of an artefact')}@127.0.0.1:9/artifact", "rows.csv"],
    )]
    made = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "certificate.json" for path in made), said[:5]
    return said + [Text(str(path.relative_to(folder)), path.read_bytes()) for path in made]


@contextmanager
def serving(folder: Path, environment: dict[str, str], plant: str) -> Iterator[tuple[int, Path]]:
    """The artefact behind a port; its log is in a file."""
    log = folder / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen([sys.executable, "-u", "-c", START, plant, "serve", "runs/0001/artifact", "--port", "0"], cwd=folder, env=environment,
                                  stdout=sink, stderr=subprocess.STDOUT)
        try:
            while not (said := re.search(rb"http://127\.0\.0\.1:(\d+)", log.read_bytes())):
                assert server.poll() is None, log.read_bytes()
                try:
                    server.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
            yield int(said.group(1)), log
        finally:
            server.terminate()
            server.wait(60)


def calls(port: int, token: str, canaries: Canaries, count: int) -> Iterator[Text]:
    """Requests with secrets in headers and query strings, most of them refused; what was answered."""
    for _ in range(count):
        route, method = canaries.rng.choice(ROUTES), canaries.rng.choice(("GET", "POST"))
        headers, target = {"Content-Type": canaries.rng.choice(("application/json", "text/plain", "multipart/form-data"))}, route
        name = canaries.rng.choice(HEADERS)
        secret = canaries.new(f"the header {name} of {method} {route}")
        headers |= {"Authorization": f"Bearer {token}"} if canaries.rng.random() < 0.5 else {}
        headers[name] = f"Bearer {secret}" if name == "Authorization" else secret
        if canaries.rng.random() < 0.3:
            target += f"?token={canaries.new(f'the query of {method} {route}')}"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, target, canaries.rng.choice((b"", b"{", b'{"rows": 3}', b'{"a": 1, "b": 2}', b"\xff\x00")), headers)
        answer = connection.getresponse()
        yield Text(f"the answer to {method} {route}", repr(answer.getheaders()).encode() + answer.read())
        connection.close()


def search(count: int, rng: random.Random, plant: str = "none") -> tuple[int, list[str]]:
    """One life with so many requests: how many secrets were put somewhere, and which turned up."""
    canaries = Canaries(rng)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, **{v: canaries.new(f"the variable {v}") for v in VARIABLES}, "THUJA_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1",
                       "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        texts = life(folder, canaries, environment, plant)
        with serving(folder, environment, plant) as (port, log):
            texts += calls(port, environment["THUJA_TOKEN"], canaries, count)
        texts.append(Text("the server's log", log.read_bytes()))
    return len(canaries.places), canaries.found_in(texts)


def conceal(trials: int, rng: random.Random) -> Outcome:
    """X3."""
    placed, failures = search(trials, rng)
    used = list(PLANTS) if trials > 100 else ["token"]
    caught = sum(bool(search(200, rng, plant)[1]) for plant in used)
    return Outcome(placed, failures, Control("; ".join(PLANTS[plant] for plant in used), len(used), caught))


HARNESSES = (Harness("X3", "a secret in the environment, an address, a header or a query is in no log, file, error or answer", conceal, short=40, long=2000),)
