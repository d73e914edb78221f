import asyncio
from typing import Any

import pytest
from starlette.datastructures import Headers

from thuja.core.errors import ThujaError
from thuja.server import limits
from thuja.server.limits import Bodies, ClientGone
from thuja.server.settings import ServeSettings

SETTINGS = ServeSettings(max_body_bytes=10, body_s=0.02, body_bytes_per_s=1000)


def read(*chunks: Any, bodies: Bodies | None = None, **headers: str) -> bytes:
    """Read a body that arrives in these chunks (bytes, a pause in seconds, or None for the end of the connection)."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        chunk = left.pop(0)
        while isinstance(chunk, float):
            await asyncio.sleep(chunk)
            chunk = left.pop(0)
        return {"type": "http.disconnect"} if chunk is None else {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def work() -> bytes:
        with (bodies or Bodies(1000)).tally() as tally:
            return await limits.read_body(receive, Headers({k.replace("_", "-"): v for k, v in headers.items()}), SETTINGS, tally)

    return asyncio.run(work())


def refusal(*chunks: Any, **given: Any) -> tuple[int, str]:
    with pytest.raises(ThujaError) as error:
        read(*chunks, **given)
    return error.value.status, str(error.value)  # type: ignore[attr-defined]


def test_a_body_comes_whole():
    assert read(b"abc", b"", b"defghij") == b"abcdefghij"
    assert read(b"") == b""


def test_a_body_too_large_is_refused_whether_or_not_it_says_so():
    assert refusal(b"never read", content_length="11") == (413, "body: expected at most 10 bytes, found 11. Send fewer rows or a smaller file.")
    assert refusal(b"12345678", b"9", b"10", b"") == (413, "body: expected at most 10 bytes, found more. Send fewer rows or a smaller file.")
    assert refusal(b"12345678901", content_length="3")[0] == 413


def test_a_slow_body_is_given_up():
    assert refusal(b"abc", 5.0, b"d") == (408, "body: expected at least 1000 bytes a second, found 3 in 0 s. Send the body faster, or a smaller one.")


def test_a_compressed_body_is_refused():
    assert refusal(b"x", content_encoding="gzip") == (415, "header Content-Encoding: expected an uncompressed body, found 'gzip'. Send it as it is.")


def test_a_client_that_hangs_up_is_no_error_of_ours():
    with pytest.raises(ClientGone):
        read(b"abc", None)


def test_all_bodies_together_have_a_limit_and_are_given_back():
    bodies = Bodies(12)
    with bodies.tally() as tally:
        tally.add(8)
        assert refusal(b"12345", bodies=bodies) == (429, "body: expected at most 12 bytes in all requests together, found more. Try again in a second.")
        assert bodies.held == 8
        assert read(b"1234", bodies=bodies) == b"1234"
    assert bodies.held == 0


@pytest.mark.parametrize(("text", "seconds"), [("0.5", 0.5), ("1e3", 30.0)])
def test_a_client_may_ask_for_less_time(text, seconds):
    assert limits.seconds_allowed(Headers({"request-timeout": text}), ServeSettings()) == seconds
    assert limits.seconds_allowed(Headers({}), ServeSettings()) == 30.0


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ThujaError) as error:
        limits.seconds_allowed(Headers({"request-timeout": text}), ServeSettings())
    assert str(error.value) == f"header Request-Timeout: expected a number of seconds above 0, found {text!r}. Send, for example, 0.5."


async def hangs_up_after(seconds: float) -> dict[str, Any]:
    await asyncio.sleep(seconds)
    return {"type": "http.disconnect"}


def test_work_ends_with_its_result_its_time_or_its_client():
    async def work(outcome: asyncio.Future[int], hang_up: float, seconds: float) -> int:
        async def wait() -> int:
            return await outcome

        return await limits.while_wanted(wait(), lambda: hangs_up_after(hang_up), seconds)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        done, late, unwanted = loop.create_future(), loop.create_future(), loop.create_future()
        done.set_result(7)
        assert await work(done, 5, 5) == 7
        with pytest.raises(ThujaError) as error:
            await work(late, 5, 0.01)
        assert str(error.value) == "server: expected an answer within 0.01 s, found none yet. Send fewer rows, or allow more time."
        with pytest.raises(ClientGone):
            await work(unwanted, 0.01, 5)
        await asyncio.sleep(0)
        assert late.cancelled()
        assert unwanted.cancelled()

    asyncio.run(play())
