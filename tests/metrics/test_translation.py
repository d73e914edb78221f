"""BLEU and chrF against sacrebleu; weights against repeated rows."""

import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, interval
from thuja.metrics.translation import words_of

sacrebleu = pytest.importorskip("sacrebleu")

REFERENCES = ["A man, 3.5 m tall, sits on a bench.", "Zwei Hunde rennen über das Feld.", "the &quot;old&quot; house", "well-known 1990-2000 (or so)", "x", "",
              "ein mann sitzt .", "naïve café 😀", "one two three four five", "最後の行"]
ANSWERS = ["A man sits on a bench, 3.5 m tall.", "Zwei Hunde laufen über ein Feld .", 'the "old" house', "well known 1990 - 2000", "", "y", "ein mann sitzt .",
           "naive café 😀 😀", "one two three four six seven", "最後の"]


def outputs(references=REFERENCES, answers=ANSWERS):
    return Outputs(np.array(references, object), {"text": np.array(answers, object)})


def rows(rng, count):
    words = ["the", "a", "dog", "runs", "fast", ",", ".", "home", "Haus", "3.5"]
    return [" ".join(rng.choice(words, int(rng.integers(0, 12)))) for _ in range(count)]


def expected(name, references, answers):
    metric = sacrebleu.metrics.BLEU() if name == "bleu" else sacrebleu.metrics.CHRF()
    return metric.corpus_score(list(answers), [list(references)]).score


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_it_is_what_sacrebleu_says(name):
    assert METRICS[name].value(outputs()) == pytest.approx(expected(name, REFERENCES, ANSWERS), abs=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(30):
        references, answers = rows(rng, 4), rows(rng, 4)
        for reference, answer in (([*references, "a b"], [*answers, "a b"]), (references, answers), (references[:1], answers[:1])):
            found, wanted = METRICS[name].value(outputs(reference, answer)), expected(name, reference, answer)
            assert found == pytest.approx(wanted, abs=1e-9) or (np.isnan(found) and wanted == 0)


def test_words_are_those_of_sacrebleu():
    tokenizer = sacrebleu.metrics.BLEU().tokenizer
    for text in [*REFERENCES, *ANSWERS, "a-\nb c\nd", "<skipped>x &amp; y", "1,000.50, 7.-8 -9 v2.0."]:
        assert " ".join(words_of(text)) == tokenizer(text.rstrip())


@pytest.mark.parametrize("name", ["bleu", "chrf", "exact_match"])
def test_a_weight_counts_a_row_so_many_times(name):
    weight = np.array([2, 0, 1, 3, 0, 1, 1, 0, 2, 1])
    repeated = np.repeat(np.arange(len(weight)), weight)
    assert METRICS[name].value(outputs(), weight) == pytest.approx(METRICS[name].value(outputs().take(repeated)), abs=1e-9)


@pytest.mark.parametrize("name", ["bleu", "chrf", "exact_match"])
def test_right_answers_are_best_and_nothing_is_undefined(name):
    right = METRICS[name].value(outputs(REFERENCES, REFERENCES))
    assert right == pytest.approx(100 if name != "exact_match" else 1)
    assert np.isnan(METRICS[name].value(outputs([], [])))
    found = interval(METRICS[name], outputs())
    assert found.low <= found.value <= found.high < right


def test_no_common_word_is_zero():
    assert METRICS["bleu"].value(outputs(["a b c d e"], ["v w x y z"])) == 0
    assert METRICS["chrf"].value(outputs(["aaa"], ["bbb"])) == 0
