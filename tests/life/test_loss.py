"""Losses: between 0 and 1, right for every kind of output, and bad labels named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.core.errors import DataError
from thuja.fields import Boxes, Category, Number, Ranking, Schema, Scores, Text
from thuja.life.loss import Judged, _edits, judged_field, loss, losses, scale_of, score_of


def schema(**outputs):
    return Schema(inputs={}, outputs=outputs)


CLASSES = schema(label=Category(names=("a", "b")), probability=Number(), probabilities=Scores(names=("a", "b")))


def test_classes():
    assert judged_field(CLASSES) == "label"
    answers = [{"label": "a", "probability": 0.9}, {"label": "b", "probability": 0.6}]
    assert losses(CLASSES, Judged("label", 1.0), answers, [{"label": "a"}, {"label": "a"}]).tolist() == [0, 1]
    score, falling = score_of(CLASSES, answers)
    assert score.tolist() == [0.9, 0.6] and falling


def test_amounts_are_measured_by_the_errors_of_the_reference():
    prices, rng = schema(price=Number()), np.random.default_rng(0)
    answers, truths = np.zeros(1000), rng.uniform(-1, 1, 1000)
    scale = scale_of(prices.outputs["price"], answers, truths)
    assert scale == pytest.approx(0.99, abs=0.01)
    found = losses(prices, Judged("price", scale), [{"price": 0.0}, {"price": None}], [{"price": scale / 2}, {"price": 1.0}])
    assert found.tolist() == pytest.approx([0.5, 1.0])
    assert scale_of(prices.outputs["price"], [1.0], [1.0]) == 1.0  # a perfect reference leaves no scale


def test_texts_and_rankings():
    said = schema(text=Text(), log_probability=Number())
    assert losses(said, Judged("text", 1.0), [{"text": "one two three four"}], [{"text": "one too three"}]).tolist() == [0.5]
    assert score_of(said, [{"text": "", "log_probability": -1.0}])[0].tolist() == [-1.0]
    top = schema(ranking=Ranking())
    answer = [{"ranking": [{"item": "x", "score": 1.0}, {"item": "y", "score": 0.5}]}] * 2
    assert losses(top, Judged("ranking", 1.0), answer, [{"ranking": "y"}, {"ranking": "z"}]).tolist() == [0, 1]


words = st.lists(st.sampled_from("abc"), max_size=7)


def slow(a, b):
    """The definition."""
    if not a or not b:
        return len(a) or len(b)
    return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))


@given(words.filter(lambda w: len(w) < 6), words.filter(lambda w: len(w) < 6))
def test_edits_are_levenshteins(a, b):
    assert _edits(a, b) == pytest.approx(slow(a, b) / max(len(a), len(b), 1))


@pytest.mark.parametrize(("truth", "message"), [
    ({}, "label.label: expected the true value, found nothing. Send the true value by the name of the output."),
    ({"lable": "a"}, "label.label: expected the true value, found 'lable'. Send the true value by the name of the output."),
    ({"label": 3}, "label.label: expected the name of a class, found 3. Send the class's name as text."),
])
def test_bad_labels_are_named_one_by_one_and_spoil_no_others(truth, message):
    answer = {"label": "a"}
    with pytest.raises(DataError) as error:
        loss(CLASSES, Judged("label", 1.0), answer, truth)
    assert str(error.value) == message
    found = losses(CLASSES, Judged("label", 1.0), [answer] * 3, [{"label": "b"}, truth, {"label": "a"}])
    assert found[[0, 2]].tolist() == [1, 0] and np.isnan(found[1])


def box(label, *sides, **more):
    return {"label": label, "box": list(sides), **more}


def test_boxes_that_are_missed_or_made_up():
    cells = schema(cells=Boxes(names=("red", "white")))
    drawn = [box("red", 0, 0, 10, 10), box("white", 20, 20, 40, 40)]

    def lost(found, truth=drawn):
        return loss(cells, Judged("cells", 1.0), {"cells": found}, {"cells": truth})

    assert judged_field(cells) == "cells"
    assert lost(drawn) == 0 and lost([]) == 1 and lost([], []) == 0 and lost(drawn, []) == 1
    assert lost([box("red", 1, 0, 10, 10, score=0.9)]) == pytest.approx(1 - 2 / 3)  # one of two, none made up
    assert lost([box("white", 0, 0, 10, 10)]) == 1, "another class is another thing"
    twice = [box("red", 0, 0, 10, 10, score=0.9), box("red", 0, 0, 10, 9, score=0.8)]
    assert lost(twice, drawn[:1]) == pytest.approx(1 - 2 / 3), "each is found once"
    ignored = [box("red", 0, 0, 10, 10, ignore=True), drawn[1]]
    assert lost([twice[0], drawn[1]], ignored) == lost([drawn[1]], ignored) == 0
    with pytest.raises(DataError, match="expected four numbers"):
        lost(drawn, [{"label": "red", "box": [1, 2]}])
    with pytest.raises(DataError, match="a list of at most"):
        lost(drawn, "red")


def test_a_model_that_labels_cannot_judge_says_so():
    with pytest.raises(DataError, match="Such a model can be watched for faults, not for harm"):
        judged_field(schema(scores=Scores(names=("a",))))
