"""The name of an environment is recognised as control, and nothing else is."""

import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.recognise.episodes import recognise
from thuja.data.source import open_source
from thuja.settings import Data


def test_a_name_of_gymnasiums_is_control() -> None:
    guess = infer(open_source(Data(path="LunarLander-v3")))
    assert guess.task == {"kind": "control", "environment": "LunarLander-v3"} and guess.data == {"format": "episodes"}
    assert guess.notes == ["'LunarLander-v3' is no file, but an environment of gymnasium: a policy is learned by playing in it.",
                           "1,000 train episodes, 20 validation episodes, 100 test episodes, each with a seed of its own."]


def test_other_rows_are_left_to_others() -> None:
    assert recognise(open_source(Data(), object={"seed": [1.0, 2.0], "label": ["a", "b"]}), None) is None


def test_a_target_is_refused() -> None:
    with pytest.raises(DataError) as error:
        infer(open_source(Data(path="CartPole-v1")), "reward")
    assert str(error.value) == "target: expected none: what counts is the return, found 'reward'. Leave --target out."
