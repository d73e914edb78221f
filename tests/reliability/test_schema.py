"""S1 in short: few calls of each route, and that pictures are put where pictures belong."""

import random
from pathlib import Path

import pytest

from reliability import schema
from reliability.schema import HARNESSES, real
from thuja.apps import CODECS
from thuja.core.errors import MissingExtra


def test_every_route_of_one_application_answers_as_documented(artifacts: dict[str, Path]) -> None:
    pytest.importorskip("schemathesis")
    calls, failures = schema.calls_in_process(artifacts["text"], 2, random.Random(0))
    assert calls > 30 and failures == []


def test_the_protocol_of_chat_completions_is_kept_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import serve_toys  # of the server's tests: a model that speaks

    pytest.importorskip("schemathesis")
    for kind, place in serve_toys.KINDS.items():
        monkeypatch.setitem(CODECS, kind, place)
    calls, failures = schema.calls_in_process(serve_toys.write(serve_toys.ToyParrot(), tmp_path / "parrot"), 12, random.Random(3), "/v1")
    assert calls > 20 and failures == []


def test_galleries_are_kept_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import serve_toys  # of the server's tests: a model that makes vectors

    pytest.importorskip("schemathesis")
    for kind, place in serve_toys.KINDS.items():
        monkeypatch.setitem(CODECS, kind, place)
    calls, failures = schema.calls_of_galleries(serve_toys.write(serve_toys.ToyFace(), tmp_path / "face"), 8, random.Random(3))
    assert calls > 50 and failures == []


@pytest.mark.parametrize("plant", schema.PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(artifacts: dict[str, Path], plant) -> None:
    pytest.importorskip("schemathesis")
    with plant():
        assert schema.calls_in_process(artifacts["table"], 10, random.Random(0), "/predict")[1]


@pytest.mark.slow
def test_in_short(artifacts: dict[str, Path]) -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_pictures_go_where_pictures_belong() -> None:
    assert real({"rows": [{"image": "abc", "note": "abc"}], "image": 1}, ["p"], lambda options: options[0]) == {
        "rows": [{"image": "p", "note": "abc"}], "image": 1}
    assert real({"images": ["a", "b"], "person": "Ann"}, ["p"], lambda options: options[0]) == {"images": ["p", "p"], "person": "Ann"}


def test_without_schemathesis_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        HARNESSES[0].run(1, random.Random(0))
    assert str(caught.value) == "S1: expected schemathesis, found not installed. Type: pip install 'thuja[dev]'."
