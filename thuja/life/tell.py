"""Telling people: faults, alarms, promotions and rollbacks go to a program, an address on the web, or by e-mail, as the plan says.

What was told is in the ledger, so that news that could not be delivered is delivered later, once: at least once, if the process dies in between. Nobody who
cannot be reached holds up anything else.

Source: signatures, HMAC (RFC 2104) with SHA-256 over the body; e-mail by RFC 5322 through SMTP with STARTTLS (RFC 3207).
"""

import hashlib
import hmac
import os
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from typing import Any

from thuja.core import digest
from thuja.life.ledger import Event, Said
from thuja.life.plan import Command, Mail, Tell, Webhook

SECONDS = 10
"""That a receiver may take."""
ATTEMPTS = 5
"""Looks at which one piece of news is tried, before it is given up."""
SIGNATURE = "Thuja-Signature"
NEWS = frozenset({"fault", "thawed", "alarm"})
STANDINGS = frozenset({"CHAMPION", "ROLLED_BACK", "QUARANTINED", "RETIRED"})
"""Standings of which people are told when a version reaches them."""


def news(events: Sequence[Event]) -> list[Event]:
    """What has happened that nobody has been told of yet, oldest first; what was tried ATTEMPTS times in vain is left."""
    tried: dict[int, int] = {}
    told: set[int] = set()
    for event in events:
        if event.kind == "told":
            about = int(event.body["about"])
            tried[about] = tried.get(about, 0) + 1
            if not event.body["failed"]:
                told.add(about)
    return [event for event in events if _is_news(event) and event.number not in told and tried.get(event.number, 0) < ATTEMPTS]


def _is_news(event: Event) -> bool:
    return event.kind in NEWS or (event.kind == "moved" and event.body["to"] in STANDINGS)


def words(name: str, event: Event) -> str:
    """One line for people."""
    match event.kind:
        case "fault":
            found = "; ".join(f"{one['field'] or 'requests'}: expected {one['expected']}, found {one['found']}" for one in event.body["faults"])
            return f"{name}: something is broken, and nothing is learned from what comes in. {found}."
        case "thawed":
            return f"{name}: the fault is over ({event.body['why']})."
        case "alarm":
            moved = ", ".join(one["field"] for one in event.body["moved"])
            what = f" What has moved: {moved}." if moved else ""
            return f"{name}: version {event.version} has become worse (evidence {event.body['statistic']:.0f}).{what}"
        case _:
            why = "; ".join(f"{gate}: {found['found']}" for gate, found in event.body["gates"].items() if found["found"])
            return f"{name}: version {event.version} is now {event.body['to']} ({why or 'no reason given'})."


def tell(receivers: Sequence[Tell], name: str, events: Sequence[Event], environment: Mapping[str, str] = os.environ) -> list[Said]:
    """Tell every receiver what is new; the events that say to whom it was told, and what failed."""
    said: list[Said] = []
    for event in news(events) if receivers else []:
        message = {"deployment": name, "words": words(name, event), "event": event.plain()}
        failed = [f"{receiver.kind}: {why}" for receiver in receivers if (why := _delivered(receiver, message, environment))]
        said.append(Said("told", event.version, {"about": event.number, "failed": failed, "receivers": [receiver.kind for receiver in receivers]}))
    return said


def _delivered(receiver: Tell, message: dict[str, Any], environment: Mapping[str, str]) -> str:
    """Why it could not be delivered; empty when it was."""
    send: dict[type, Callable[[Any, dict[str, Any], Mapping[str, str]], None]] = {Command: _run, Webhook: _post, Mail: _mail}
    try:
        send[type(receiver)](receiver, message, environment)
    except (OSError, subprocess.SubprocessError, smtplib.SMTPException, urllib.error.URLError, ValueError) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def _run(receiver: Command, message: dict[str, Any], environment: Mapping[str, str]) -> None:
    subprocess.run(receiver.arguments, input=digest.canonical(message), timeout=SECONDS, check=True, capture_output=True, env=dict(environment))


def _post(receiver: Webhook, message: dict[str, Any], environment: Mapping[str, str]) -> None:
    body = digest.canonical(message)
    if not receiver.url.startswith(("https://", "http://")):
        raise ValueError("an address begins with https:// or http://")
    request = urllib.request.Request(receiver.url, data=body, headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310 - looked at above
    if receiver.secret:
        request.add_header(SIGNATURE, signature(body, _secret(receiver.secret, environment)))
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
        pass


def signature(body: bytes, secret: str) -> str:
    """What a receiver computes again to know that the message is ours.

    >>> signature(b"{}", "key")[:16]
    'sha256=a777724d9'
    """
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def _mail(receiver: Mail, message: dict[str, Any], environment: Mapping[str, str]) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = str(message["words"])[:120].replace("\n", " "), receiver.sender, ", ".join(receiver.to)
    letter.set_content(f"{message['words']}\n\nEvent {message['event']['number']} of the ledger.\n")
    with smtplib.SMTP(receiver.host, receiver.port, timeout=SECONDS) as server:
        if receiver.user:
            server.starttls(context=ssl.create_default_context())
            server.login(receiver.user, _secret(receiver.secret, environment))
        server.send_message(letter)


def _secret(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise ValueError(f"the environment has no variable {name}")
    return environment[name]
