"""Conversations as text: a mark before each message says who speaks, and a mark after it that it is over. No torch.

    <|user|>hello<|end|><|assistant|>hello, what can I help you with<|end|>

The marks are tokens of their own, which no other text can spell: a message that holds one is refused, so that nobody speaks with another's voice.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from thuja.core.errors import DataError, did_you_mean

ROLES = ("system", "user", "assistant", "tool")
ASSISTANT = "assistant"
END = "<|end|>"
MARK = re.compile(r"<\|(system|user|assistant|tool|end)\|>")


def mark(role: str) -> str:
    """What is written before a message.

    >>> mark("user")
    '<|user|>'
    """
    return f"<|{role}|>"


def written(messages: Sequence[dict[str, Any]]) -> str:
    """A conversation as one text. Raises: DataError naming `messages[i].role` or `.content`."""
    return "".join(f"{mark(_role(message, i))}{_content(message, i)}{END}" for i, message in enumerate(messages))


def asked(messages: Sequence[dict[str, Any]]) -> str:
    """A conversation as a prompt: what comes next is the assistant's. Raises: as `written`; also where there is no message."""
    if not messages:
        raise DataError("messages", expected="at least one message", found="none", fix='Send [{"role": "user", "content": "..."}].')
    return written(messages) + mark(ASSISTANT)


def messages_of(value: Any, where: str) -> list[dict[str, Any]]:
    """A cell as messages: a list of objects, or JSON text of one. Raises: DataError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise DataError(where, expected="a list of messages", found="something else", fix='Write [{"role": "user", "content": "..."}, ...].')
    if not any(message.get("role") == ASSISTANT for message in value):
        raise DataError(where, expected="a message of the assistant", found="none", fix="Leave this conversation out: nothing in it can be learned.")
    return value


def _role(message: dict[str, Any], place: int) -> str:
    role = message.get("role")
    if role not in ROLES:
        raise DataError(f"messages[{place}].role", expected=f"one of {', '.join(ROLES)}", found=repr(role)[:40], fix=did_you_mean(str(role), ROLES))
    return str(role)


def _content(message: dict[str, Any], place: int) -> str:
    content = message.get("content")
    if not isinstance(content, str):
        raise DataError(f"messages[{place}].content", expected="text", found=type(content).__name__, fix="Send a string.")
    if found := MARK.search(content):
        raise DataError(f"messages[{place}].content", expected="no mark of the template", found=repr(found.group()), fix="Write it otherwise.")
    return content
