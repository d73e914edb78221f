"""`thuja export`, `thuja verify`, `thuja predict`, `thuja serve`."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from thuja.cli.terminal import note, say, size


@click.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--runs", "root", type=click.Path(path_type=Path), default="runs", help="Where runs are kept; the newest is taken.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the artefact; RUN/artifact when left out.")
@click.option("--int8", is_flag=True, help="Quantise the weights; the change of every metric is reported.")
def export(run: Path | None, root: Path, out: Path | None, int8: bool) -> None:
    """Write the artefact and prove that it, a live server and the training code answer alike."""
    from thuja.cli.model import latest
    from thuja.verbs.export import export as verb

    artifact = verb(latest(root, run), out=out, int8=int8)
    total = sum(p.stat().st_size for p in artifact.path.iterdir())
    say(f"Exported {artifact.path} ({size(total)}), certificate inside. Next: thuja serve {artifact.path}")


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
def verify(artifact: Path) -> None:
    """Replay an artefact's certificate on this machine: in onnxruntime and behind a live server."""
    from thuja.proof.certificate import verify as verb

    verdict = verb(artifact)
    for agreement in verdict.agreements:
        say(str(agreement))
    say(f"{artifact}: verified")


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("inputs", type=click.Path(path_type=Path, allow_dash=True), nargs=-1)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON lines here instead of standard output.")
@click.option("--delimiter", help="Separator of a CSV; found by looking when left out.")
@click.option("--encoding", help="Text encoding of a table or a file of texts; UTF-8 when left out.")
def predict(artifact: Path, inputs: tuple[Path, ...], out: Path | None, **known: str | None) -> None:
    """Answer INPUTS: pictures, folders, tables; or lines on standard input (-, the default)."""
    from thuja.core.errors import DataError
    from thuja.settings import Data
    from thuja.verbs.predict import predict as verb

    data = Data.model_validate({name: value for name, value in known.items() if value is not None})
    sources = [sys.stdin if str(source) == "-" else source for source in inputs or (Path("-"),)]
    answers = (answer for source in sources for answer in verb(artifact, source, data=data))
    count = bad = 0
    with _written(out) as write:
        for answer in answers:
            count, bad = count + 1, bad + ("error" in answer)
            write(json.dumps(answer, ensure_ascii=False) + "\n")
    if count and bad == count:
        raise DataError("predict", expected="a row that can be read", found=f"none among {count}", fix='Each answer says why, under "error".')
    if bad:
        note(f'{bad} of {count} rows could not be read; each has an "error" in its answer')


@contextmanager
def _written(out: Path | None) -> Iterator[Callable[[str], object]]:
    """Where answers go, line by line: standard output, a pipe or a device as they come; a file that is there once it is whole."""
    from thuja.core.storage import DISK, build_file, explained

    if out is None or (out.exists() and not out.is_file()):
        with explained(out or Path("standard output")), nullcontext(sys.stdout) if out is None else out.open("w", encoding="utf-8") as target:
            yield target.write
    else:
        with build_file(out) as temporary:
            yield lambda line: DISK.extend(temporary, line.encode())


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; anything but loopback needs a token.")
@click.option("--port", default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the bearer token (or set THUJA_TOKEN).")
@click.option("--models", type=click.Path(path_type=Path), help="Folder whose artefacts POST /admin/swap may put in place of this one.")
@click.option("--galleries", type=click.Path(path_type=Path), help="Folder for galleries of enrolled people (faces); needs a token.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a limit, such as max_body_bytes=1000000; all are in the guide.")
def serve(artifact: Path, host: str, port: int, overrides: tuple[str, ...], **folders: Path | None) -> None:
    """Serve ARTIFACT, or the folder of a deployment, over HTTP: JSON, Open Inference Protocol v2, metrics, and a page to try it in."""
    from thuja.core.document import Document, override, validate
    from thuja.server.settings import ServeSettings
    from thuja.server.supervisor import supervise as verb

    typed = {"host": host, "port": port, **folders}
    known = Document({name: str(value) if isinstance(value, Path) else value for name, value in typed.items() if value is not None}, "thuja serve")
    settings = validate(ServeSettings, override(known, overrides) if overrides else known)
    verb(artifact, settings, ready=lambda url: say(f"Serving {artifact} on {url} (stop with Ctrl-C)"))
