"""S12: the Open Inference Protocol over REST, asked of any server that says it speaks it.

    python -m reliability.conformance http://127.0.0.1:8000 --model NAME [--sample request.json]

Each check asks something that the specification settles and looks at the answer; what it leaves open is not asked. Values are made up from the model's own
metadata (zeros, empty texts); a model that cannot answer those needs a whole request in a file. Only the standard library is used.

Source: Open Inference Protocol, REST (kserve/open-inference-protocol, specification/protocol/inference_rest.md) and its binary tensor data extension
(triton-inference-server/server). Differs: where the specification says only that an error is reported, 4xx and `{"error": ...}` are expected.
"""

import argparse
import http.client
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from reliability.conformance_checks import CHECKS
from reliability.conformance_model import Ask, Deviation, Json, Model, Reply


def table(ask: Ask, name: str, sample: Json | None = None) -> list[tuple[str, str]]:
    """Every check with what was wrong, empty where nothing was."""
    model, found = Model(ask, name, sample), []
    for title, check in CHECKS.items():
        try:
            check(model)
            found.append((title, ""))
        except (Deviation, KeyError, TypeError, ValueError, IndexError, struct.error) as error:
            found.append((title, str(error) if isinstance(error, Deviation) else f"expected an answer that can be read, found {error!r}"[:300]))
    return found


def over_http(url: str) -> Ask:
    """Ask a server by its address, a connection a request."""
    place = urlsplit(url)

    def ask(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
        try:
            connection.request(method, place.path.rstrip("/") + path, body or None, dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reliability.conformance", description="Ask a server about the Open Inference Protocol.")
    parser.add_argument("url", help="http://host:port")
    parser.add_argument("--model", required=True)
    parser.add_argument("--sample", type=Path, help="a JSON file with a request the model can answer; a text that is base64 of bytes is {\"b64\": \"...\"}")
    asked = parser.parse_args()
    found = table(over_http(asked.url), asked.model, json.loads(asked.sample.read_text("utf-8")) if asked.sample else None)
    for title, wrong in found:
        print(f"{'FAILED' if wrong else 'ok':6}  {title}{': ' + wrong if wrong else ''}")
    failed = sum(bool(wrong) for _, wrong in found)
    print(f"\n{len(found) - failed} of {len(found)} hold")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
