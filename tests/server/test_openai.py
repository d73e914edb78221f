"""The real client of OpenAI against a live server, over a socket."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from test_stream import Slow  # a module beside this one

from thuja.server.app import create_app
from thuja.server.listening import listener
from thuja.server.settings import ServeSettings

openai = pytest.importorskip("openai", reason="no openai client here: pip install 'thuja[dev]'")
TOKEN = "a-token-of-some-length"
HELLO = [{"role": "user", "content": "Hello world"}]


@pytest.fixture(scope="module")
def live(artifacts: dict[str, Path]) -> Iterator[tuple[str, Slow]]:
    """The address of a server, and its model."""
    import serve_toys

    from thuja.apps import CODECS

    with pytest.MonkeyPatch.context() as patch:
        for kind, place in serve_toys.KINDS.items():
            patch.setitem(CODECS, kind, place)
        predictor = Slow(artifacts["parrot"], step_s=0.001)
        listening = listener("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(create_app(predictor, ServeSettings(), TOKEN), log_config=None, ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", predictor
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def client(live):
    with openai.OpenAI(base_url=live[0], api_key=TOKEN, max_retries=0, timeout=20) as found:
        yield found


def test_the_model_is_listed(client):
    assert [model.id for model in client.models.list()] == ["toy-parrot"]
    assert client.models.retrieve("toy-parrot").owned_by == "thuja"


def test_a_conversation(client):
    answer = client.chat.completions.create(model="toy-parrot", messages=HELLO, temperature=0, seed=3, max_completion_tokens=5, user="me")
    assert (answer.choices[0].message.content, answer.choices[0].message.role, answer.choices[0].finish_reason) == ("Hello", "assistant", "length")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 5, 16)


def test_a_conversation_streamed(client):
    with client.chat.completions.create(model="toy-parrot", messages=HELLO, stream=True, stop="ld", stream_options={"include_usage": True}) as stream:
        found = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in found if c.choices) == "Hello wor"
    assert (found[-2].choices[0].finish_reason, found[-1].usage.completion_tokens) == ("stop", 11)


def test_the_clients_own_helper_for_streams(client):
    with client.chat.completions.stream(model="toy-parrot", messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.content == "Hello world"
    assert {"chunk", "content.delta", "content.done"} <= kinds


def test_completions(client):
    answer = client.completions.create(model="toy-parrot", prompt=["abc", "de"])
    assert [choice.text for choice in answer.choices] == ["abc", "de"]
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(model="toy-parrot", prompt="abc", stream=True)) == "abc"


def test_the_asynchronous_client_and_many_at_once(live):
    async def work() -> None:
        async with openai.AsyncOpenAI(base_url=live[0], api_key=TOKEN, max_retries=0, timeout=20) as client:
            async def ask(i: int) -> str:
                stream = await client.chat.completions.create(model="toy-parrot", messages=[{"role": "user", "content": f"number {i}"}], stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            assert await asyncio.gather(*map(ask, range(12))) == [f"number {i}" for i in range(12)]
            answer = await client.chat.completions.create(model="toy-parrot", messages=HELLO)
            assert answer.choices[0].message.content == "Hello world"

    asyncio.run(work())


def test_a_client_that_goes_away_takes_its_answer_along(client, live):
    predictor = live[1]
    predictor.step_s = 0.05
    try:
        with client.chat.completions.create(model="toy-parrot", messages=[{"role": "user", "content": "x" * 100}], stream=True) as stream:
            for _ in range(3):
                next(stream)
        steps = predictor.steps
        threading.Event().wait(0.4)
        assert predictor.steps <= steps + 3, "the way of the news takes a step or two; eight would have been made by now"
    finally:
        predictor.step_s = 0.001


def test_errors_are_the_clients_own(client, live):
    with pytest.raises(openai.AuthenticationError) as caught:
        openai.OpenAI(base_url=live[0], api_key="another-token-of-some-length", max_retries=0).models.list()
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="toy-parrot", messages=[{"role": "user", "content": "x" * 300}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="toy-parrot", messages=HELLO, logprobs=True)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "logprobs")


def test_trouble_in_the_middle_of_a_stream_reaches_the_client(client, live):
    predictor = live[1]
    predictor.fails, predictor.error = predictor.steps + 3, ZeroDivisionError("a secret")
    with pytest.raises(openai.APIError, match="a fault that was logged") as caught:
        list(client.chat.completions.create(model="toy-parrot", messages=HELLO, stream=True))
    assert "secret" not in str(caught.value)
