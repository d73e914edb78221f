import json
from typing import Any

import pytest
from test_stream import Slow  # a module beside this one

from thuja.server.openapi_chat import schemas

HELLO = [{"role": "user", "content": "Hello world"}]
CHAT = {"model": "toy-parrot", "messages": HELLO}
TEXT = {"model": "toy-parrot", "prompt": "Hello"}
TOKEN = "a-token-of-some-length"


def post(client: Any, body: Any, path: str = "/v1/chat/completions", **headers: str) -> Any:
    return client.post(path, content=body if isinstance(body, bytes) else json.dumps(body), headers={"Content-Type": "application/json", **headers})


def chunks(text: str) -> list[Any]:
    """The chunks of a stream, whose end is checked."""
    lines = text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


def said(found: list[Any], index: int = 0) -> str:
    return "".join(c["delta"].get("content", "") for chunk in found for c in chunk["choices"] if c["index"] == index)


def test_a_conversation_is_answered_in_the_form_of_the_protocol(start):
    client = start("parrot")
    answer = post(client, CHAT)
    value = answer.json()
    assert (answer.status_code, len(answer.headers["thuja-model"])) == (200, 64)
    assert value.pop("id").startswith("chatcmpl-") and value.pop("created") > 1_600_000_000
    assert value == {
        "object": "chat.completion", "model": "toy-parrot", "system_fingerprint": f"fp_{answer.headers['thuja-model'][:12]}",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello world", "refusal": None}, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 11, "total_tokens": 22}}


def test_messages_may_come_in_parts_and_from_every_role(start):
    messages = [{"role": "developer", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}]
    assert post(start("parrot"), CHAT | {"messages": messages}).json()["choices"][0]["message"]["content"] == "a\nb\ncd"


def test_a_stream_has_a_role_the_pieces_a_reason_and_if_asked_what_was_used(start):
    found = chunks(post(start("parrot"), CHAT | {"stream": True, "max_tokens": 3, "stream_options": {"include_usage": True}}).text)
    choices = [chunk["choices"] for chunk in found]
    assert choices == [
        [{"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "logprobs": None, "finish_reason": None}],
        *[[{"index": 0, "delta": {"content": letter}, "logprobs": None, "finish_reason": None}] for letter in "Hel"],
        [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}], []]
    assert [chunk["usage"] for chunk in found] == [None] * 5 + [{"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}]
    assert {(chunk["id"], chunk["object"], chunk["model"]) for chunk in found} == {(found[0]["id"], "chat.completion.chunk", "toy-parrot")}
    plain = chunks(post(start("parrot"), CHAT | {"stream": True}).text)
    assert not any("usage" in chunk for chunk in plain)


@pytest.mark.parametrize(("stop", "want", "tokens"), [("wor", "Hello ", 9), (["xyz", "o w", "wor"], "Hell", 7), ("H", "", 1), (["xyz"], "Hello world", 11)])
def test_stop_texts_end_an_answer_and_are_never_sent(start, artifacts, stop, want, tokens):
    predictor = Slow(artifacts["parrot"], step_s=0)
    client = start(predictor)
    whole = post(client, CHAT | {"stop": stop}).json()
    assert (whole["choices"][0]["message"]["content"], whole["choices"][0]["finish_reason"], whole["usage"]["completion_tokens"]) == (want, "stop", tokens)
    assert predictor.steps <= len(want) + 3, "the model goes on after the stop text"
    found = chunks(post(client, CHAT | {"stop": stop, "stream": True}).text)
    assert said(found) == want and found[-1]["choices"][0]["finish_reason"] == "stop"


def test_several_answers_to_one_prompt_differ_by_their_seed_and_the_seed_says_which(start):
    client = start("parrot")
    body = CHAT | {"n": 3, "temperature": 1.0, "seed": 1, "max_tokens": 2}
    answer = post(client, body).json()
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in answer["choices"]] == [
        (0, "If", "length"), (1, "Jg", "length"), (2, "Kh", "length")]
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 6, "total_tokens": 17}
    assert [said(chunks(post(client, body | {"stream": True}).text), i) for i in range(3)] == ["If", "Jg", "Kh"]
    assert post(client, body | {"seed": 1 - (1 << 31)}).json()["choices"] == answer["choices"]
    drawn = {post(client, CHAT | {"temperature": 1.0}).json()["choices"][0]["message"]["content"] for _ in range(20)}
    assert len(drawn) > 1, "without a seed there is a new one every time"


def test_a_text_is_gone_on_with(start):
    client = start("parrot")
    answer = post(client, TEXT | {"prompt": ["abc", "x" * 30], "n": 2}, "/v1/completions").json()
    assert answer["id"].startswith("cmpl-") and answer["object"] == "text_completion"
    assert [(c["index"], c["text"], c["finish_reason"]) for c in answer["choices"]] == [
        (0, "abc", "stop"), (1, "abc", "stop"), (2, "x" * 16, "length"), (3, "x" * 16, "length")]  # 16: the protocol's default
    assert answer["usage"] == {"prompt_tokens": 33, "completion_tokens": 38, "total_tokens": 71}
    found = chunks(post(client, TEXT | {"stream": True}, "/v1/completions").text)
    assert [chunk["choices"][0]["text"] for chunk in found] == [*"Hello", ""]
    assert (found[-1]["object"], found[-1]["choices"][0]["finish_reason"]) == ("text_completion", "stop")


def test_what_asks_for_nothing_is_taken(start):
    body = CHAT | {"user": "me", "metadata": {"a": [1]}, "store": False, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "logprobs": False,
                   "tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "top_logprobs": None, "modalities": ["text"], "stream": False,
                   "n": None, "stop": None, "seed": None, "max_completion_tokens": None}
    assert post(start("parrot"), body).status_code == 200


@pytest.mark.parametrize(("change", "status", "param", "code", "message"), [
    ({"tools": [{}]}, 400, "tools", "unsupported_parameter", "tools: expected nothing: this server does not have it, found a value. Leave it out."),
    ({"logprobs": True}, 400, "logprobs", "unsupported_parameter", "logprobs: expected nothing: this server does not have it, found a value. Leave it out."),
    ({"frequency_penalty": 0.5}, 400, "frequency_penalty", "unsupported_parameter",
     "frequency_penalty: expected nothing: this server does not have it, found a value. Leave it out."),
    ({"frequency_penalty": False}, 400, "frequency_penalty", "unsupported_parameter",
     "frequency_penalty: expected nothing: this server does not have it, found a value. Leave it out."),
    ({"top_p": 0.5}, 400, "top_p", "unsupported_parameter", "top_p: expected nothing: this model does not have it, found a value. Leave it out."),
    ({"verbose": 1}, 400, "verbose", "unknown_parameter", "verbose: expected a parameter of this protocol, found an unknown one."),
    ({"messages": []}, 400, "messages", None, "messages: expected at least one message, found an empty list."),
    ({"messages": None}, 400, "messages", None, "messages: expected list, found null."),
    ({"messages": [HELLO[0], {"role": "tool", "content": "x"}]}, 400, "messages[1].role", None,
     "messages[1].role: expected one of: system, developer, user, assistant, found 'tool'."),
    ({"messages": [{"role": "user"}]}, 400, "messages[0].content", None, "messages[0].content: expected a text, found nothing."),
    ({"messages": [{"content": "a"}]}, 400, "messages[0].role", None, "messages[0].role: expected a value, found nothing. This parameter is required."),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "messages[0].content[0].type", None,
     "messages[0].content[0].type: expected text, found 'image_url'. This model reads texts only."),
    ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", None,
     "messages[0].content: expected string or list or null, found a number."),
    ({"messages": [{"role": "user", "content": "x" * 201}]}, 400, "messages", "context_length_exceeded",
     "messages: expected at most 200 characters, found 201. Send a shorter text, or raise max_characters."),
    ({"messages": [{"role": "user", "content": "unreadable"}]}, 400, "messages", "context_length_exceeded",
     "messages: expected readable text, found none. Write clearly."),
    ({"stop": ["a"] * 5}, 400, "stop", None, "stop: expected at most 4 texts, found 5."),
    ({"stop": ["a"] * 50_000}, 400, "stop", None, "stop: expected at most 4 texts, found 50000."),
    ({"stop": ""}, 400, "stop", None, "stop: expected texts of 1 to 1000 characters, found one of 0."),
    ({"n": 0}, 400, "n", None, "n: expected 1 to 16 answers in all, found 0."),
    ({"n": 17}, 400, "n", None, "n: expected 1 to 16 answers in all, found 17."),
    ({"temperature": 2.5}, 400, "temperature", None, "temperature: expected at most 2, found 2.5. Check the unit."),
    ({"temperature": "hot"}, 400, "temperature", None, "temperature: expected float or null, found a string."),
    ({"max_tokens": 101}, 400, "max_tokens", None, "max_tokens: expected at most 100, found 101. Check the unit."),
    ({"stream_options": {"include_usage": True}}, 400, "stream_options", None, "stream_options: expected stream: true beside it, found no stream."),
    ({"model": "gpt"}, 404, "model", "model_not_found", "model: expected 'toy-parrot', found 'gpt'. GET /v1/models lists what there is."),
    ({"model": None}, 400, "model", None, "model: expected string, found null."),
])
def test_what_is_wrong_is_said_in_the_form_of_the_protocol(start, change, status, param, code, message):
    answer = post(start("parrot"), CHAT | change)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json() == {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@pytest.mark.parametrize(("body", "message"), [
    (b"", "body: expected JSON, found "),
    (b"\xff\xfe{", "body: expected JSON, found JSON is malformed: "),
    (b'{"model": "\xff"}', "body: expected JSON, found 'utf-8' codec can't decode byte 0xff "),
    (b'{"model": "toy-parrot", "messages": [{"role": "user", "content": "\\ud800"}]}', "body: expected JSON, found "),
    (b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body: expected JSON, found maximum recursion depth exceeded "),
    (b"[]", "body: expected object, found a list."),
    (b"{}", "model: expected a value, found nothing. This parameter is required."),
])
def test_what_is_no_request_at_all_is_refused(start, body, message):
    answer = post(start("parrot"), body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith(message)


def test_many_small_things_are_counted_before_they_become_objects(start):
    answer = post(start("parrot"), CHAT | {"stop": ["a"] * 150_000})
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, "body: expected at most 100000 texts, objects and values, found more.")
    assert post(start("parrot"), CHAT, **{"Content-Type": "text/plain"}).status_code == 415


def test_a_model_that_has_no_dialogues_goes_on_with_texts_only(start):
    client = start("simple")
    answer = post(client, CHAT)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404, "messages: expected a model that has learned dialogues, found one that goes on with a text. Ask POST /v1/completions.")
    assert post(client, TEXT, "/v1/completions").json()["choices"][0]["text"] == "Hello"


def test_a_model_without_texts_is_not_asked(start):
    client = start("text")
    for answer in (post(client, CHAT), post(client, TEXT, "/v1/completions"), client.get("/v1/models"), client.get("/v1/models/x")):
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404, "address: expected a model that goes on with a text, found toy-text. Ask POST /predict; see /docs.")


def test_models_and_errors_of_the_edge(start):
    client = start("parrot", token=TOKEN)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    (model,) = client.get("/v1/models", headers=bearer).json()["data"]
    assert model == {"id": "toy-parrot", "object": "model", "created": model["created"], "owned_by": "thuja"}
    assert client.get("/v1/models/toy-parrot", headers=bearer).json() == model
    assert client.get("/v1/models/gpt", headers=bearer).json()["error"]["code"] == "model_not_found"
    error = client.get("/v1/models").json()["error"]
    assert (error["code"], error["type"], error["param"]) == ("invalid_api_key", "invalid_request_error", None)
    assert client.get("/v1/files", headers=bearer).json()["error"]["type"] == "invalid_request_error"


def test_a_slow_model_is_a_504_and_a_full_house_a_429(start, artifacts):
    slow = Slow(artifacts["parrot"], step_s=0.05)
    answer = post(start(slow, timeout_s=0.1), CHAT)
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "server_error")
    client = start("parrot", max_rows=1, max_waiting=1)
    answer = post(client, CHAT | {"n": 2})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["error"] == {"message": "server: expected at most 1 rows waiting, found 0 already here. Try again in a second.",
                                      "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}


def test_the_document_says_what_is_taken(start):
    client = start("parrot")
    document = client.get("/openapi.json").json()
    assert document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"].keys() == {"application/json", "text/event-stream"}
    chat = document["components"]["schemas"]["ChatRequest"]
    assert chat == json.loads(json.dumps(schemas(client.app.service.model)["ChatRequest"]))
    assert (chat["required"], chat["properties"]["temperature"], chat["properties"]["top_p"]) == (
        ["model", "messages"], {"type": ["number", "null"], "minimum": 0.0, "maximum": 2.0}, {"type": "null"})
