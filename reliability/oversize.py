"""S3: too much of everything, sent to a real server: bodies, headers, chunks, nesting, shapes, rows, parts, and small files that unpack to large ones.

Each attack must be answered with a 4xx, or be cut off, for less than a second of the server's processor time, and must not make it grow by more than six
times the largest body it takes (a picture in base64 is held as body, text, plain text and bytes, and the allocator rounds up); it must still answer an
honest request afterwards.
"""

import base64
import gzip
import io
import json
import os
import random
import select
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reliability import applications
from reliability.live import Server, served
from reliability.outcome import Control, Harness, Outcome

LIMIT = 16 << 20
SECONDS = 1.0
GROWTH = 6 * LIMIT
PIECE = 1 << 16
Attack = Callable[[], bytes]
NAMES = {"table": "table", "image": "image-classification"}


def post(body: bytes, path: str = "/predict", kind: str = "application/json", **headers: str) -> bytes:
    """A whole request with its length."""
    lines = {"Host": "127.0.0.1", "Content-Type": kind, "Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return f"POST {path} HTTP/1.1\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + body


def chunked(chunks: bytes, kind: str = "application/json") -> bytes:
    """A request in chunks, which are given as they go over the wire."""
    return f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks


def fill(text: bytes, room: int = LIMIT - 4096) -> bytes:
    """As many as fit into a body that is not too large."""
    return text * (room // len(text))


def infer(body: bytes, name: str = "table", **headers: str) -> bytes:
    """An inference request."""
    return post(body, f"/v2/models/{name}/infer", **headers)


def shaped(shape: str, data: str = "[0]", kind: str = "FP32") -> bytes:
    """An inference request with this shape."""
    text = f'{{"inputs": [{{"name": "numbers", "shape": {shape}, "datatype": "{kind}", "data": {data}}}, ' \
           f'{{"name": "categories", "shape": {shape}, "datatype": "INT64", "data": {data}}}]}}'
    return infer(text.encode(), "table-tensors")


def bytes_of(length: int, rest: bytes = b"") -> bytes:
    """A binary BYTES tensor whose element says it is so long."""
    blob = struct.pack("<I", length) + rest
    head = json.dumps({"inputs": [{"name": "city", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(blob)}}]}).encode()
    return infer(head + blob, Inference_Header_Content_Length=str(len(head)))


def form(parts: bytes) -> bytes:
    """A multipart form, parts given as they go over the wire."""
    return post(parts + b"--b--\r\n", kind="multipart/form-data; boundary=b")


def part(name: str, value: str = "1", more: str = "") -> bytes:
    """One part of a form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A black picture of one bit a pixel, which packs to nearly nothing; more chunks before its pixels."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + b"".join(chunks) + chunk(b"IDAT", data) + \
        chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(data: bytes) -> bytes:
    """A picture as a body."""
    return post(data, kind="image/png")


def tall(kind: str) -> bytes:
    """A picture file of another format whose header claims 60,000 x 60,000 pixels."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(out, kind)
    data = bytearray(out.getvalue())
    if kind == "BMP":
        data[18:26] = struct.pack("<ii", 60000, 60000)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", 60000, 60000)
    else:
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    return bytes(data)


TABLE: dict[str, Attack] = {
    "a length beyond the limit": lambda: post(b"", Content_Length=str(LIMIT + 1)),
    "a length of thirty digits": lambda: post(b"", Content_Length="9" * 30), "a negative length": lambda: post(b"", Content_Length="-1"),
    "two lengths": lambda: post(b"{}", content_length="100000000000"), "a body beyond the limit": lambda: post(b" " * (LIMIT + 1)),
    "chunks beyond the limit": lambda: chunked((b"10000\r\n" + b" " * 65536 + b"\r\n") * 300 + b"0\r\n\r\n"),
    "a million tiny chunks": lambda: chunked(b"1\r\n \r\n" * 1_000_000 + b"0\r\n\r\n"),
    "a chunk of 2^68": lambda: chunked(b"fffffffffffffffff\r\n"), "a chunk of a thousand digits": lambda: chunked(b"f" * 1000 + b"\r\n"),
    "a long chunk extension": lambda: chunked(b"1;" + b"x" * (1 << 20) + b"\r\n \r\n0\r\n\r\n"),
    "long trailers": lambda: chunked(b"0\r\n" + b"a: b\r\n" * 200_000 + b"\r\n"),
    "a header of a megabyte": lambda: post(b"{}", X_Long="x" * (1 << 20)),
    "a hundred thousand headers": lambda: b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"h%d: 1\r\n" % i for i in range(100_000)) + b"\r\n",
    "an address of a megabyte": lambda: b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a query of a megabyte": lambda: b"GET /schema?" + b"a=1&" * (1 << 18) + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "lists in lists": lambda: post(fill(b"[")), "objects in objects": lambda: post(fill(b'{"a":')), "rows in rows": lambda: post(fill(b'{"rows":[')),
    "five million empty rows": lambda: post(b'{"rows":[' + fill(b"{},") + b"{}]}"),
    "a million small rows": lambda: post(b'{"rows":[' + fill(b'{"age":1},') + b"{}]}"),
    "two million fields": lambda: post(b"{" + b",".join(b'"%06x":1' % i for i in range(1_300_000)) + b"}"),
    "one field a million times": lambda: post(b"{" + fill(b'"age":1,') + b'"age":1}'), "a row of a million fields": lambda: post(
        b'{"rows":[{' + b",".join(b'"%06x":1' % i for i in range(1_300_000)) + b"}]}"),
    "a number of sixteen million digits": lambda: post(b'{"age":' + fill(b"1") + b"}"), "a long exponent": lambda: post(b'{"age":1e' + fill(b"1") + b"}"),
    "a text of sixteen million quotes": lambda: post(b'{"age":"' + fill(b'\\"') + b'"}'), "a text without end": lambda: post(b'{"age":"' + fill(b'\\"')),
    "escapes": lambda: post(b'{"' + fill(b"\\u0041") + b'":1}'),
    "gzip": lambda: post(gzip.compress(bytes(LIMIT)), Content_Encoding="gzip"),
    "deflate": lambda: post(zlib.compress(bytes(LIMIT)), Content_Encoding="deflate"),
    "twice gzip": lambda: post(gzip.compress(gzip.compress(bytes(LIMIT))), Content_Encoding="gzip, gzip"),
    "brotli": lambda: post(b"\x5b\xff\xff\x7f" * 100, Content_Encoding="br"),
    "a hundred thousand parts": lambda: form(b"".join(part(f"p{i}") for i in range(100_000))),
    "one part a hundred thousand times": lambda: form(part("age") * 100_000), "a name of a megabyte": lambda: form(part("x" * (1 << 20))),
    "a part header of eight megabytes": lambda: form(part("age", more="\r\nX-A: " + "x" * (8 << 20))), "a boundary of a megabyte": lambda: post(
        b"--", kind="multipart/form-data; boundary=" + "b" * 20_000),
    "half boundaries": lambda: form(part("age", "\r\n--" * 2_000_000)), "a part without end": lambda: post(fill(b"x"), kind="multipart/form-data; boundary=b"),
    "a shape beyond counting": lambda: shaped("[4611686018427387904, 4611686018427387904]"),
    "a shape that wraps to 0": lambda: shaped("[4294967296, 4294967296]"),
    "a shape that wraps to 1": lambda: shaped("[18446744073709551617]"), "a shape of a million lengths": lambda: shaped("[" + "1," * 1_000_000 + "1]"),
    "a shape as large as is taken": lambda: shaped("[16000000, 1]"),
    "data of three million numbers": lambda: shaped("[3000000, 1]", "[" + "0," * 2_999_999 + "0]"),
    "more data than shape": lambda: shaped("[1, 1]", "[" + "0," * 3_000_000 + "0]"),
    "data nested a million deep": lambda: shaped("[1, 1]", "[" * 1_000_000 + "]" * 1_000_000),
    "a text of 4 GB": lambda: bytes_of(0xFFFFFFFF), "a text longer than its tensor": lambda: bytes_of(1 << 20, b"x"),
    "a hundred thousand tensors": lambda: infer(b'{"inputs":[' + b",".join([b'{"name":"a","shape":[1],"datatype":"FP32","data":[0]}'] * 100_000) + b"]}"),
    "a million parameters": lambda: infer(b'{"inputs":[],"parameters":{' + b",".join(b'"%06x":1' % i for i in range(1_000_000)) + b"}}"),
    "a million outputs": lambda: infer(b'{"inputs":[],"outputs":[' + b",".join([b'{"name":"a"}'] * 1_000_000) + b"]}"),
    "an id of fifteen megabytes": lambda: infer(b'{"inputs":[],"id":"' + fill(b"x") + b'"}'),
    "a header length of a thousand digits": lambda: infer(b"{}", Inference_Header_Content_Length="9" * 1000),
    "a time beyond counting": lambda: post(b"{}", Request_Timeout="1e400"),
}
IMAGE: dict[str, Attack] = {
    "a picture of 3.6 billion pixels": lambda: picture(png(60_000, 60_000)), "one line of 2^31 pixels": lambda: picture(png(1 << 27, 1)[:40] + bytes(40)),
    "a packed text in a picture": lambda: picture(png(60_000, 60_000, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20), 9)))),
    "a packed profile in a picture": lambda: picture(png(60_000, 60_000, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 << 20), 9)))),
    "a million chunks in a picture": lambda: picture(png(60_000, 60_000, chunk(b"tEXt", b"a\0b") * 500_000)),
    "a large BMP": lambda: picture(tall("BMP")), "a large GIF": lambda: picture(tall("GIF")), "a large JPEG": lambda: picture(tall("JPEG")),
    "a large picture in base64": lambda: post(json.dumps({"image": base64.b64encode(png(60_000, 60_000)).decode()}).encode()),
    "base64 of nothing": lambda: post(b'{"image":"' + fill(b"A") + b'"}'),
}


def send(server: Server, request: bytes) -> int:
    """Status of the answer, 0 where the connection was cut."""
    with server.connect() as connection:
        connection.setblocking(False)
        view, said, end = memoryview(request), b"", time.monotonic() + 20
        while time.monotonic() < end:
            reading, writing, _ = select.select([connection], [connection] if view else [], [], 1)
            try:
                if reading:
                    piece = connection.recv(PIECE)
                    said += piece
                    if not piece or b"\r\n" in said:
                        break
                if writing:
                    view = view[connection.send(view[:PIECE]) :]
            except (ConnectionError, TimeoutError):
                break
        words = said.split(b" ", 2)
        return int(words[1]) if len(words) > 1 else 0


def busy(server: Server) -> float:
    """Seconds of processor time that the server has used."""
    words = Path(f"/proc/{server.serving()}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def grown(server: Server, request: bytes) -> tuple[int, float, int]:
    """Status, seconds of processor time, and the bytes by which the server grew at its largest."""
    Path(f"/proc/{server.serving()}/clear_refs").write_text("5", "ascii")  # forget the largest so far
    before, worked = server.memory(), busy(server)
    status = send(server, request)
    return status, busy(server) - worked, server.memory("VmHWM") - before


def attacked(server: Server, attacks: dict[str, Attack], honest: Callable[[Server], bool]) -> Iterator[tuple[str, str, float, int]]:
    """Each attack with what was wrong about how it was met (empty if nothing), seconds and growth."""
    for name, attack in attacks.items():
        status, seconds, growth = grown(server, attack())
        wrong = "" if status == 0 or 400 <= status < 500 else f"status {status}"
        wrong = wrong or (f"{seconds:.2f} s" if seconds > SECONDS else "") or (f"grew by {growth >> 20} MiB" if growth > GROWTH else "")
        yield name, wrong or ("" if honest(server) else "no honest answer after it"), seconds, growth


def answers(kind: str) -> Callable[[Server], bool]:
    """Whether an honest request is still answered."""
    certificate = json.loads((applications.artifacts()[kind] / "certificate.json").read_bytes())
    body = json.dumps({name: values[0] for name, values in certificate["rows"].items()}).encode()
    return lambda server: server.ask("POST", "/predict", body, {"Content-Type": "application/json"})[0] == 200


PLANTED = ("-c", "import sys; from thuja.server import settings, limits\n"
           "async def read_body(receive, headers, settings, tally):\n"
           "    parts = [await receive()]\n"
           "    while parts[-1].get('more_body'): parts.append(await receive())\n"
           "    return b''.join(p['body'] for p in parts) * 4\n"
           "limits.read_body = read_body\n"
           "from thuja.__main__ import main; main(['serve', *sys.argv[1:]])")
"""A server that reads whatever is sent, and copies it a few times."""


def run(trials: int, rng: random.Random) -> Outcome:
    """All attacks, in random order, again until there are `trials`; few trials: a sample of them."""
    failures, number, slowest, largest = list[str](), 0, 0.0, 0
    for kind, attacks in (("table", TABLE), ("image", IMAGE)):
        share = max(2, round(trials * len(attacks) / (len(TABLE) + len(IMAGE))))
        with served(applications.artifacts()[kind], max_body_bytes=LIMIT) as server:
            honest = answers(kind)
            assert all(honest(server) for _ in range(20)), "the server does not answer"
            for _ in range(-(-share // len(attacks))):
                chosen = {name: attacks[name] for name in rng.sample(list(attacks), min(share, len(attacks)))}
                for name, wrong, seconds, growth in attacked(server, chosen, honest):
                    number, slowest, largest = number + 1, max(slowest, seconds), max(largest, growth)
                    failures += [f"{kind}, {name}: {wrong}"] if wrong else []
    with served(applications.artifacts()["table"], command=PLANTED, max_body_bytes=LIMIT) as server:
        planted = {"a body beyond the limit": TABLE["a body beyond the limit"]}
        caught = sum(bool(wrong) for _, wrong, _, _ in attacked(server, planted, answers("table")))
    control = Control("a server without a limit on bodies, which copies them", 1, caught)
    figures: dict[str, float | str] = {"most processor time, s": round(slowest, 3), "most growth, MiB": largest >> 20, "limit on bodies, MiB": LIMIT >> 20}
    return Outcome(number, failures, control, figures)


PROMISE = "too much of anything: refused for less than a second of work, growth below six times the limit"
HARNESSES = (Harness("S3", PROMISE, run, short=8, long=len(TABLE) + len(IMAGE)),) \
    if sys.platform == "linux" else ()
