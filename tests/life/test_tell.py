"""News reaches a program, an address and a mailbox; what could not be delivered comes later, once; secrets stay in the environment."""

import contextlib
import hashlib
import hmac
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from thuja.life.ledger import Ledger, Said
from thuja.life.plan import Command, Mail, Webhook
from thuja.life.tell import ATTEMPTS, news, tell, words

FAULT = Said("fault", "1", {"faults": [{"rule": "stuck", "field": "heat", "expected": "values that differ", "found": "60 times 4"}], "moved": []})
ALARM = Said("alarm", "1", {"statistic": 412.7, "streams": {}, "moved": [{"field": "heat"}]})
MOVED = Said("moved", "2", {"from": "CANARY", "to": "CHAMPION", "gates": {"comparison": {"passed": True, "found": "better by 0.0200", "waived": ""}}})
STEP = Said("moved", "2", {"from": "DRAFT", "to": "TRAINED", "gates": {}})


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.log", clock=lambda: 1.0)
    made.append([FAULT, STEP, ALARM, MOVED, Said("look", "1", {})])
    return made


def test_only_news_is_told_and_only_once(ledger, tmp_path):
    out = tmp_path / "heard"
    script = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    receivers = [Command(arguments=(sys.executable, "-c", script, str(out)))]
    ledger.append(tell(receivers, "shop", ledger.events()))
    assert tell(receivers, "shop", ledger.events()) == []
    heard = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [one["words"] for one in heard] == [
        "shop: something is broken, and nothing is learned from what comes in. heat: expected values that differ, found 60 times 4.",
        "shop: version 1 has become worse (evidence 413). What has moved: heat.",
        "shop: version 2 is now CHAMPION (comparison: better by 0.0200)."]
    assert heard[0]["event"]["number"] == 1


def test_what_fails_is_tried_again_at_later_looks_and_then_left(ledger):
    receivers = [Command(arguments=(sys.executable, "-c", "raise SystemExit(3)")), Command(arguments=("/no/such/program",))]
    for _ in range(ATTEMPTS):
        said = tell(receivers, "shop", ledger.events()[:1] + [e for e in ledger.events() if e.kind == "told"])
        assert len(said) == 1 and len(said[0].body["failed"]) == 2 and "CalledProcessError" in said[0].body["failed"][0]
        ledger.append(said)
    assert all(event.kind != "fault" for event in news(ledger.events()))
    assert tell([], "shop", ledger.events()) == []


@contextlib.contextmanager
def listening(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_address_gets_a_signed_message(ledger, tmp_path):
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.rfile.read(int(self.headers["Content-Length"])), self.headers["Thuja-Signature"]))
            self.send_response(204 if len(got) < 3 else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    with listening(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        hook = Webhook(url=f"http://127.0.0.1:{port}/hook", secret="HOOK_KEY")
        said = tell([hook], "shop", ledger.events(), {"HOOK_KEY": "s3cret"})
    body, signed = got[0]
    assert signed == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest() and json.loads(body)["deployment"] == "shop"
    assert [bool(one.body["failed"]) for one in said] == [False, False, True]
    assert "no variable HOOK_KEY" in tell([hook], "shop", ledger.events()[:1], {})[0].body["failed"][0]
    assert "https://" in tell([Webhook(url=(tmp_path / "secret").as_uri())], "shop", ledger.events()[:1])[0].body["failed"][0]


def test_a_letter_is_sent(ledger):
    lines = []

    class Post(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                lines.append(line)
                if data:
                    data = line != "."
                    if not data:
                        self.wfile.write(b"250 taken\r\n")
                    continue
                data = line.upper() == "DATA"
                self.wfile.write(b"354 go on\r\n" if data else b"221 bye\r\n" if line.upper() == "QUIT" else b"250 yes\r\n")

    with listening(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post)) as port:
        said = tell([Mail(to=("ada@example.org", "bob@example.org"), sender="thuja@example.org", host="127.0.0.1", port=port)], "shop", ledger.events()[:1])
    assert said[0].body["failed"] == []
    assert "To: ada@example.org, bob@example.org" in lines and any(line.startswith("Subject: shop: something is broken") for line in lines)


def test_words_without_reasons(ledger):
    assert words("shop", ledger.events()[3]._replace(body={"to": "RETIRED", "gates": {}})) == "shop: version 2 is now RETIRED (no reason given)."
