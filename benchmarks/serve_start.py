"""How long from `serve` to the first answer, and how much memory it holds: python benchmarks/serve_start.py ARTEFACT [--write].

Starts a server process for the artefact, asks one made-up row as soon as it listens, and reads the process's resident memory then and after more rows.
Five starts, the median. `import` is a bare interpreter that imports nothing, for comparison.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from thuja.artifact.folder import Artifact

KINDS = ("image-classification", "text-classification", "table")
ROWS = 500
SERVER = """
import sys
from pathlib import Path
from thuja.server.server import serve
from thuja.server.settings import ServeSettings
serve(Path(sys.argv[1]), ServeSettings(port=0), lambda address: print(address, flush=True))
print("torch" in sys.modules)
"""


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (10^6 bytes), Linux."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmRSS")


def ask(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Milliseconds for one answer."""
    start = time.perf_counter()
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    return (time.perf_counter() - start) * 1000


def once(path: Path, bodies: list[bytes]) -> dict[str, Any]:
    """One start."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    listening = time.perf_counter() - start
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    ask(connection, bodies[0])
    first = time.perf_counter() - start
    resident = resident_mb(process.pid)
    times = [ask(connection, body) for body in bodies]
    later = resident_mb(process.pid)
    connection.close()
    process.terminate()
    torch = process.communicate(timeout=30)[0].strip() == "True"
    return {"listening_s": listening, "first_answer_s": first, "resident_mb": resident, f"resident_after_{ROWS}_rows_mb": later,
            "median_ms": statistics.median(times), "p99_ms": float(np.quantile(times, 0.99)), "torch_imported": torch}


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    artifact = Artifact.open(options.artifact)
    rng = np.random.default_rng(0)
    made = {name: [field.to_json(v) for v in field.fake(rng, ROWS)] for name, field in artifact.schema.inputs.items()}
    bodies = [json.dumps(dict(zip(made, row, strict=True))).encode() for row in zip(*made.values(), strict=True)]
    runs = [once(options.artifact, bodies) for _ in range(5)]
    found: dict[str, Any] = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0] if name != "torch_imported"}
    found |= {"torch_imported": any(run["torch_imported"] for run in runs), "kind": artifact.codec.kind,
              "program_bytes": artifact.manifest.files["predict.onnx"].bytes}
    print(json.dumps(found, indent=1))
    if options.write:
        before_it = record.latest("serve_start")
        kept = json.loads(before_it.read_text("utf-8")) if before_it else {}
        kinds = {name: kept[name] for name in KINDS if name in kept}  # one file holds every application measured
        print(record.save("serve_start", kinds | {found["kind"]: found}, load))


if __name__ == "__main__":
    main()
