"""Requests a second of one core, p50 and p99, beside what else people serve models with: python benchmarks/serving.py [--short] [--write].

Every server is started in turn on core 0 with one thread for the model; wrk asks from core 1 over kept-alive connections, with 1, 16 and 64 of them, after
a second of warm-up. Two models (serving_models.py): `tiny`, which leaves the server as the cost, and `convnet`, about 1 ms a picture, which does not get
cheaper in batches. Two forms: friendly JSON, and binary (for Thuja the Open Inference Protocol's tensors, for bare Starlette raw bytes; `jpeg` is a bare
picture as body). `in process` is onnxruntime called in a loop with batches of 32 of the same rows: what the core could do with no server at all.
Rates are of answered requests with status 200; a run with any other answer is marked.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import record
import serving_models
from serving_models import CONVNET, TINY, Workload

HERE = Path(__file__).parent
PORT = 8123
CLIENTS = (1, 16, 64)
FRIENDLY = {"Content-Type": "application/json"}
THUJA = """
import sys
from pathlib import Path
from thuja.server.server import serve
from thuja.server.settings import ServeSettings
serve(Path(sys.argv[1]), ServeSettings(port=int(sys.argv[2])), lambda address: None)
"""
IN_PROCESS = """
import json, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
node = session.get_inputs()[0]
row = np.fromfile(sys.argv[2], {"tensor(float)": "<f4", "tensor(uint8)": "u1"}[node.type]).reshape([1, *node.shape[1:]])
for size in (1, 32):
    feed = {node.name: np.repeat(row, size, 0)}
    times, end = [], time.perf_counter() + float(sys.argv[3])
    while (start := time.perf_counter()) < end:
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    print(json.dumps({"rows_per_s": size * len(times) / sum(times), "p50_ms": 1000 * sorted(times)[len(times) // 2]}))
"""


class Call(NamedTuple):
    """One way to ask a server."""

    form: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server(NamedTuple):
    """One of those compared."""

    name: str
    command: list[str]
    calls: list[Call]


def servers(work: Workload, thuja: Path, peer: Path) -> list[Server]:
    """All of them for one model; `thuja` and `peer` are interpreters."""
    asgi, friendly = str(HERE / "peers"), Call("json", "/predict", FRIENDLY, work.json)
    raw = Call("binary", "/predict", {"Content-Type": "application/octet-stream"}, work.tensor)
    jpeg = [] if work.raw is None else [Call("jpeg", "/jpeg", {"Content-Type": "image/jpeg"}, work.raw)]
    ours = [friendly, tensors(work), *(call._replace(path="/predict") for call in jpeg)]
    uvicorn = [str(peer), "-m", "uvicorn", "--app-dir", asgi, "--port", str(PORT), "--no-access-log", "--log-level", "error"]
    granian = [str(peer), "-m", "granian", "--interface", "asgi", "--port", str(PORT), "--working-dir", asgi, "--log-level", "error"]
    lit = [str(peer), str(HERE / "peers" / "serve_litserve.py"), str(PORT)]
    return [
        Server("Thuja", [str(thuja), "-c", THUJA, str(work.artifact), str(PORT)], ours),
        Server("LitServe, as documented", lit, [friendly]), Server("LitServe, tuned by us", [*lit, "tuned"], [friendly]),
        Server("FastAPI, as documented", [*uvicorn, "serve_asgi:friendly"], [friendly]),
        Server("FastAPI, tuned by us", [*uvicorn, "serve_asgi:lean"], [friendly]),
        Server("Starlette, bare", [*uvicorn, "serve_asgi:raw"], [raw, *jpeg]), Server("granian, Starlette, bare", [*granian, "serve_asgi:raw"], [raw, *jpeg]),
        Server("uvicorn, echo", [*uvicorn, "serve_asgi:echo"], [raw]), Server("granian, echo", [*granian, "serve_asgi:echo"], [raw]),
    ]


def tensors(work: Workload) -> Call:
    """The same row in the Open Inference Protocol's binary form."""
    manifest = json.loads((work.artifact / "manifest.json").read_text("utf-8"))
    name = {"FP32": "numbers", "UINT8": "image"}[work.datatype]
    given = {"name": name, "datatype": work.datatype, "shape": work.shape, "parameters": {"binary_data_size": len(work.tensor)}}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Call("binary", f"/v2/models/{manifest['kind']}-tensors/infer", headers, head + work.tensor)


@contextmanager
def running(server: Server, environment: dict[str, str]) -> Iterator[int]:
    """The server on core 0, from its first good answer on; gives its process."""
    process = subprocess.Popen(["taskset", "-c", "0", *server.command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not answers(server.calls[0]):
            assert process.poll() is None and time.monotonic() < deadline, f"{server.name}: {process.stderr and process.stderr.read()!r}"
            time.sleep(0.1)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # some take longer than half a minute to leave
        process.communicate()


def answers(call: Call) -> bool:
    """Whether the server gives a good answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{call.path}", call.body, call.headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return bool(response.status == 200 and response.read())
    except (urllib.error.URLError, ConnectionError):
        return False


def processor_s(pid: int) -> float:
    """Processor time of a process and its children so far, Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(processor_s(int(child)) for child in children)


def load(pid: int, call: Call, clients: int, seconds: float) -> dict[str, float]:
    """What wrk saw, and the processor time that the server (its process `pid` and children) spent on a request, which other programs disturb less."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(call.body)
        body.flush()
        environment = {**os.environ, "BODY": body.name, "HEADERS": "|".join(f"{k}: {v}" for k, v in call.headers.items())}
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{clients}", "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{PORT}{call.path}"]
        subprocess.run([*command, "-d1"], env=environment, check=True, capture_output=True)
        before = processor_s(pid)
        done = subprocess.run([*command, f"-d{seconds:g}"], env=environment, check=True, capture_output=True, text=True)
        spent = processor_s(pid) - before
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = found["refused"] + found["broken"]
    rate = (found["requests"] - found["refused"]) / found["seconds"]
    return {"requests_per_s": round(rate), "processor_us": round(1e6 * spent / max(1, found["requests"]), 1),
            "p50_ms": round(found["p50_ms"], 3), "p99_ms": round(found["p99_ms"], 3),
            **({"wrong": wrong} if wrong else {})}


def in_process(work: Workload, python: Path, seconds: float) -> dict[str, Any]:
    """onnxruntime alone on the server's core."""
    with tempfile.NamedTemporaryFile() as row:
        row.write(work.tensor)
        row.flush()
        command = ["taskset", "-c", "0", str(python), "-c", IN_PROCESS, str(work.artifact / "predict.onnx"), row.name, str(seconds)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    one, batch = map(json.loads, lines)
    return {"rows_per_s_alone": round(one["rows_per_s"]), "p50_ms_alone": round(one["p50_ms"], 3), "rows_per_s_batches_of_32": round(batch["rows_per_s"])}


def measured(name: str, work: Workload, peer: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every server with one model."""
    environment = {k: v for k, v in os.environ.items() if k != "THUJA_TOKEN"}
    environment |= {"KIND": name, "MODEL": str(work.artifact / "predict.onnx"), "OMP_NUM_THREADS": "1"}
    out: dict[str, Any] = {"in process": in_process(work, Path(sys.executable), options.seconds)}
    for server in servers(work, Path(sys.executable), peer):
        if options.only and options.only not in server.name:
            continue
        with running(server, environment) as pid:
            out[server.name] = {call.form: {str(n): load(pid, call, n, options.seconds) for n in CLIENTS} for call in server.calls}
        print(name, server.name, json.dumps(out[server.name]), flush=True)
    return out


def best(found: dict[str, Any], server: str, form: str) -> float:
    """The best rate over the numbers of clients."""
    return max(float(figures["requests_per_s"]) for figures in found[server][form].values())


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """The goals."""
    tiny, convnet = found[TINY], found[CONVNET]
    lit = [name for name in tiny if name.startswith("LitServe")]
    overhead = convnet["Thuja"]["binary"]["1"]["p50_ms"] - convnet["in process"]["p50_ms_alone"]
    return {
        "JSON, tiny: times the better LitServe": best(tiny, "Thuja", "json") / max(best(tiny, name, "json") for name in lit),
        "JSON, 1 ms: times the better LitServe": best(convnet, "Thuja", "json") / max(best(convnet, name, "json") for name in lit),
        "JSON, tiny: times FastAPI as documented": best(tiny, "Thuja", "json") / best(tiny, "FastAPI, as documented", "json"),
        "binary, tiny: share of bare Starlette": best(tiny, "Thuja", "binary") / best(tiny, "Starlette, bare", "binary"),
        "binary, 1 ms: share of the raw batched forward": best(convnet, "Thuja", "binary") / convnet["in process"]["rows_per_s_batches_of_32"],
        "binary, 1 ms: p50 of one client above the forward, ms": overhead,
    }


def peers() -> Path:
    """The interpreter of the environment with LitServe, FastAPI, Starlette, uvicorn and granian."""
    sys.path.insert(0, str(HERE / "peers"))
    import environments

    python: Path = environments.python("litserve")
    return python


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--short", action="store_true", help="two seconds each")
    parser.add_argument("--only", default="", help="servers whose name has this in it; no ratios then")
    parser.add_argument("--model", choices=(TINY, CONVNET))
    parser.add_argument("--folder", type=Path, help="where the two models are kept; trained and thrown away when left out")
    parser.add_argument("--peers", type=Path, help="the peers' interpreter; made when left out")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.seconds = 2.0 if options.short else options.seconds
    if absent := [program for program in ("wrk", "taskset") if shutil.which(program) is None]:
        sys.exit(f"This benchmark needs {' and '.join(absent)}: install with your system's package manager (wrk; util-linux).")
    before = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as spare:
        works = serving_models.make(options.folder or Path(spare))
        peer = options.peers or peers()
        found = {name: measured(name, work, peer, options) for name, work in works.items() if options.model in (None, name)}
    if not options.only and not options.model:
        found["ratios"] = {name: round(value, 3) for name, value in ratios(found).items()}
    print(json.dumps(found, indent=1))
    if options.write:
        print(record.save("serving", found, before))


if __name__ == "__main__":
    main()
