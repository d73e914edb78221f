"""Chat completions and completions, as OpenAI's clients ask for them, where the codec is `Conversational`.

What this model cannot do is refused by its parameter's name, never ignored: tools, pictures, log-probabilities, penalties. Parameters that change no answer
(`user`, `metadata`, ...) are taken and forgotten. A parameter that the client leaves out is the model's own default; only the seed is drawn afresh.

Source: OpenAI API reference (chat completions, completions, models), as its Python client 3.x speaks it.
"""

import contextlib
import secrets
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from thuja.codec import Rows, answer_of
from thuja.core.clock import wall
from thuja.core.errors import DataError
from thuja.fields import Number
from thuja.server.continuation import Continuation
from thuja.server.frugal import few_items, within
from thuja.server.model import Chat, Model
from thuja.server.problem import Refusal, placed
from thuja.server.stream import Events, event
from thuja.server.wire import MET

PARTS = 100_000
"""Most texts, objects and values of a request."""
STOPS, LONGEST_STOP = 4, 1000
MOST_CHOICES = 16
SEEDS = 1 << 31
COMPLETION_TOKENS = 16
"""Of a completion that does not say how many; the protocol's number."""
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
SAMPLING = ("temperature", "top_p", "top_k", "max_tokens", "seed")
"""Parameters that are inputs of the model's schema, where it has them."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, 0.0), "presence_penalty": (0, 0.0), "logit_bias": ({},), "logprobs": (False,), "top_logprobs": (0,), "tools": ([],),
    "tool_choice": ("none", "auto"), "functions": ([],), "function_call": ("none", "auto"), "response_format": ({"type": "text"},), "modalities": (["text"],),
    "audio": (), "prediction": (), "web_search_options": (), "best_of": (1,), "echo": (False,), "suffix": ("",)}
"""What this server cannot do, and the values (besides null) that ask for nothing."""
FORGOTTEN = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls",
                       "reasoning_effort", "verbosity"})
"""What changes no answer here."""
END = b"data: [DONE]\n\n"
Done = Callable[[Mapping[str, Sequence[Any]]], None]


class StreamOptions(msgspec.Struct):
    """What a streamed answer carries besides text."""

    include_usage: bool | None = None


class Asked(msgspec.Struct, kw_only=True):
    """What both requests share."""

    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Content(msgspec.Struct):
    """A part of a message."""

    type: str
    text: str = ""


class Message(msgspec.Struct):
    """One turn of a dialogue."""

    role: str
    content: str | list[Content] | None = None


class ChatAsked(Asked, kw_only=True):
    """The body of `POST /v1/chat/completions`."""

    messages: list[Message]
    max_completion_tokens: int | None = None


class CompletionAsked(Asked, kw_only=True):
    """The body of `POST /v1/completions`."""

    prompt: str | list[str]


class Question(NamedTuple):
    """A request, understood."""

    chat: bool
    prompts: list[str]
    choices: int
    """Answers to all prompts together, those to one after those to another."""
    rows: Rows
    """A row for each choice."""
    stop: tuple[str, ...]
    limit: int | None
    """Most tokens of an answer; None: the model's default."""
    stream: bool
    usage: bool
    """Whether the last event of a stream says what was used."""


class Choice(NamedTuple):
    """One answer, whole."""

    text: str
    tokens: int
    """As many as were made, those of a stop text included."""
    reason: str


def names(model: Model) -> list[dict[str, Any]]:
    """What `GET /v1/models` lists: the one model there is."""
    return [{"id": model.kind, "object": "model", "created": int(model.since), "owned_by": "thuja"}]


def of(model: Model) -> Chat:
    """How this model is asked. Raises: Refusal 404 where it makes no texts."""
    if model.chat is None:
        raise Refusal(404, "address", expected="a model that goes on with a text", found=model.kind, fix="Ask POST /predict; see /docs.")
    return model.chat


def read(body: bytes, model: Model, chat: bool) -> Question:
    """A request, checked. Raises: Refusal 400, 404 or 413, DataError; `where` is the parameter to blame."""
    speaker = of(model)
    asked: ChatAsked | CompletionAsked = _decoded(body, ChatAsked if chat else CompletionAsked)
    if asked.model != model.kind:
        raise refused("model", repr(model.kind), repr(asked.model[:60]), "GET /v1/models lists what there is.", code="model_not_found", status=404)
    if isinstance(asked, ChatAsked):
        if not speaker.dialogues:
            raise refused("messages", "a model that has learned dialogues", "one that goes on with a text", "Ask POST /v1/completions.", status=404)
        prompts = [speaker.codec.conversation(_messages(asked.messages))]
        limit = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    else:
        prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        limit = _few(model) if asked.max_tokens is None else asked.max_tokens
    if not prompts:
        raise refused("prompt", "a text, or a list of them", "an empty list")
    each = 1 if asked.n is None else asked.n
    if not 1 <= each * len(prompts) <= MOST_CHOICES:
        raise refused("n", f"1 to {MOST_CHOICES} answers in all", str(each * len(prompts)))
    rows = _rows(asked, [prompt for prompt in prompts for _ in range(each)], limit, model)
    return Question(chat, prompts, each * len(prompts), rows, _stops(asked.stop), limit, asked.stream is True, _wants_usage(asked))


async def answer(model: Model, question: Question, done: Done | None = None) -> dict[str, Any]:
    """The whole answer as JSON data; `done` is told the typed outputs. Raises: as `Model.answer`."""
    head = _head(model, question, streamed=False)
    last = None
    async for _, last in _grown(model, question, done):  # noqa: B007 - the last one counts
        pass
    assert last is not None, "the last of what is grown is whole"
    said = [{"message": {"role": "assistant", "content": choice.text, "refusal": None}} if question.chat else {"text": choice.text} for choice in last]
    told = [{"index": i, **text, "logprobs": None, "finish_reason": c.reason} for i, (text, c) in enumerate(zip(said, last, strict=True))]
    return {**head, "choices": told, "usage": _usage(model, question, last)}


async def events(model: Model, question: Question, done: Done | None = None) -> Events:
    """The same as server-sent events."""
    head = _head(model, question, streamed=True)
    usage: dict[str, Any] = {"usage": None} if question.usage else {}
    silent, last = question.chat, None
    async with contextlib.aclosing(_grown(model, question, done)) as grown:
        async for deltas, last in grown:  # noqa: B007 - the last one counts
            for i in range(question.choices if silent else 0):
                yield event({**head, "choices": [_piece(i, {"role": "assistant", "content": "", "refusal": None}, True)], **usage})
            silent = False
            for i, delta in enumerate(deltas):
                if delta:
                    yield event({**head, "choices": [_piece(i, {"content": delta} if question.chat else delta, question.chat)], **usage})
    assert last is not None, "the last of what is grown is whole"
    for i, choice in enumerate(last):
        yield event({**head, "choices": [_piece(i, {} if question.chat else "", question.chat, choice.reason)], **usage})
    if question.usage:
        yield event({**head, "choices": [], "usage": _usage(model, question, last)})
    yield END


async def _grown(model: Model, question: Question, done: Done | None) -> AsyncGenerator[tuple[list[str], list[Choice] | None], None]:
    """What can be shown next of every choice, and at the end the choices. The model stops when every one has met a stop text."""
    texts = [Continuation(question.stop) for _ in range(question.choices)]
    codec = model.predictor.artifact.codec
    try:
        columns = await model.encode(question.rows, question.choices)
    except DataError as error:
        raise _too_long(error, question.chat) if error.where.endswith(".prompt") else placed(error, None) from error
    async with contextlib.aclosing(model.states(columns)) as states:
        async for state in states:
            shown = codec.partial(state) or [""] * len(texts)
            yield [text.grow(so_far) for text, so_far in zip(texts, shown, strict=True)], None
            if all(text.stopped for text in texts):
                break
    outputs = model.predictor.decode(answer_of(state))
    rest = [text.grow(whole, last=True) for text, whole in zip(texts, outputs["text"], strict=True)]
    choices = [_choice(text, outputs, i, question, of(model)) for i, text in enumerate(texts)]
    if done is not None:
        done({**outputs, "text": [choice.text for choice in choices]})
    yield rest, choices


def _choice(text: Continuation, outputs: dict[str, list[Any]], row: int, question: Question, speaker: Chat) -> Choice:
    tokens = int(outputs["tokens"][row]) if "tokens" in outputs else speaker.codec.count(text.text)
    full = outputs["finish"][row] == "length" if "finish" in outputs else question.limit is not None and tokens >= question.limit
    return Choice(text.text, tokens, "length" if full and not text.stopped else "stop")


def _head(model: Model, question: Question, streamed: bool) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if streamed else "chat.completion") if question.chat else "text_completion"
    return {"id": f"{'chatcmpl' if question.chat else 'cmpl'}-{uuid.uuid4().hex}", "object": kind, "created": int(wall()), "model": model.kind,
            "system_fingerprint": f"fp_{model.version}"}


def _piece(index: int, content: Any, chat: bool, reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta" if chat else "text": content, "logprobs": None, "finish_reason": reason}


def _usage(model: Model, question: Question, choices: Sequence[Choice]) -> dict[str, int]:
    asked = sum(map(of(model).codec.count, question.prompts))
    made = sum(choice.tokens for choice in choices)
    return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}


def _decoded(body: bytes, kind: type[Any]) -> Any:
    if not within(body, PARTS) or not few_items(body, PARTS):
        raise refused("body", f"at most {PARTS} texts, objects and values", "more", status=413)
    try:
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        for name, raw in given.items():
            _take(name, raw, kind)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _unfit(str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refused("body", "JSON", str(error)[:100], "Check quotes, commas and brackets.") from error


def _take(name: str, raw: msgspec.Raw, kind: type[Any]) -> None:
    """Pass a parameter that is known. Raises: Refusal 400 for others, and for what this server cannot do."""
    if name in kind.__struct_fields__ or name in FORGOTTEN:
        return
    if name not in NEUTRAL:
        raise refused(name[:60], "a parameter of this protocol", "an unknown one", code="unknown_parameter")
    value = msgspec.json.decode(raw)
    if value is not None and not any(type(value) is type(other) and value == other for other in NEUTRAL[name]):
        raise refused(name, "nothing: this server does not have it", "a value", "Leave it out.", code="unsupported_parameter")


def _unfit(message: str) -> Refusal:
    """msgspec's words as ours: `Expected `str`, got `int` - at `$.messages[0].role``, or `Object missing required field `model``."""
    said, _, place = message.partition(" - at ")
    where = place.strip("`").removeprefix("$").removeprefix(".")
    if said.startswith("Object missing"):
        name = said.split("`")[1]
        return refused(f"{where}.{name}".lstrip("."), "a value", "nothing", "This parameter is required.")
    if not said.startswith("Expected"):
        return refused(where or "body", "a usable value", said[:100])
    wanted = said.split("`")[1].replace("array", "list").replace("str", "string").replace("int", "whole number").replace(" | ", " or ")
    met = said.rpartition("got ")[2].strip("`")
    return refused(where or "body", wanted, MET.get(met, met[:60]))


def _messages(given: Sequence[Message]) -> list[dict[str, str]]:
    """Roles and plain texts. Raises: Refusal 400."""
    if not given:
        raise refused("messages", "at least one message", "an empty list")
    messages = []
    for i, message in enumerate(given):
        if message.role not in ROLES:
            raise refused(f"messages[{i}].role", f"one of: {', '.join(ROLES)}", repr(message.role[:40]))
        parts = message.content
        if parts is None:
            raise refused(f"messages[{i}].content", "a text", "nothing")
        for j, part in enumerate(parts if isinstance(parts, list) else ()):
            if part.type != "text":
                raise refused(f"messages[{i}].content[{j}].type", "text", repr(part.type[:40]), "This model reads texts only.")
        content = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        messages.append({"role": ROLES[message.role], "content": content})
    return messages


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > STOPS:
        raise refused("stop", f"at most {STOPS} texts", str(len(stops)))
    for text in stops:
        if not 1 <= len(text) <= LONGEST_STOP:
            raise refused("stop", f"texts of 1 to {LONGEST_STOP} characters", f"one of {len(text)}")
    return stops


def _wants_usage(asked: Asked) -> bool:
    if asked.stream_options is not None and not asked.stream:
        raise refused("stream_options", "stream: true beside it", "no stream")
    return asked.stream_options is not None and asked.stream_options.include_usage is True


def _rows(asked: Asked, prompts: list[str], limit: int | None, model: Model) -> dict[str, list[Any]]:
    """The model's inputs, a row for each choice; rows of one request have seeds of their own. Raises: Refusal 400, DataError."""
    fields = model.schema.inputs
    first = secrets.randbelow(SEEDS) if asked.seed is None else asked.seed
    given: dict[str, Any] = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k, "max_tokens": limit, "seed": first % SEEDS}
    rows: dict[str, list[Any]] = {}
    for name, field in fields.items():
        if name == "prompt":
            rows[name] = [_prompt(asked, model, prompt) for prompt in prompts]
        else:
            rows[name] = [field.from_json(given.get(name), name)] * len(prompts)
    for name in SAMPLING:
        if name not in fields and name != "seed" and given[name] is not None:
            raise refused(name, "nothing: this model does not have it", "a value", "Leave it out.", code="unsupported_parameter")
    if "seed" in fields:
        rows["seed"] = [float((first + i) % SEEDS) for i in range(len(prompts))]
    return rows


def _few(model: Model) -> int:
    """Tokens of a completion that does not say how many."""
    field = model.schema.inputs.get("max_tokens")
    return min(COMPLETION_TOKENS, int(field.upper)) if isinstance(field, Number) and field.upper is not None else COMPLETION_TOKENS


def _prompt(asked: Asked, model: Model, prompt: str) -> Any:
    try:
        return model.schema.inputs["prompt"].from_json(prompt, "prompt")
    except DataError as error:
        raise _too_long(error, isinstance(asked, ChatAsked)) from error


def _too_long(error: DataError, chat: bool) -> Refusal:
    """A prompt that the model does not take: there is no other reason."""
    return refused("messages" if chat else "prompt", error.expected, error.found, error.fix, code="context_length_exceeded")


def refused(where: str, expected: str, found: str, fix: str = "", *, code: str | None = None, status: int = 400) -> Refusal:
    """A refusal in this protocol; `where` is the parameter to blame."""
    error = Refusal(status, where, expected=expected, found=found, fix=fix)
    error.code = code
    return error
