"""Translation: the codec, the batches, the task, the programs in onnxruntime, and the whole way from data to an answer."""

import subprocess
import sys
import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.translation import pictures, programs
from thuja.apps.translation.batches import WEIGHT, bucketed
from thuja.apps.translation.codec import TranslationCodec, ended
from thuja.apps.translation.task import Translation
from thuja.codec import AFTER, DONE, load, ragged, rectangular, repeated
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.models.translator import Translator
from thuja.settings import AdamW, Train
from thuja.task import Draw, Part
from thuja.testing import check_codec, check_task
from thuja.training import look
from thuja.training.look import answers, run
from thuja.training.loop import begin, steps
from thuja.vocabulary import END, BytePairs, Bytes, Characters

SMALL = Translator(dim=32, depth=1, heads=2, hidden=64, dropout=0.0)
WORDS = (("the", "der"), ("cat", "katze"), ("dog", "hund"), ("sees", "sieht"), ("big", "gross"), ("house", "haus"), ("red", "rot"), ("a", "ein"))


def pairs(rows=300, seed=0, longest=5):
    """A language whose words come in the other order."""
    rng = np.random.default_rng(seed)
    chosen = [rng.integers(0, len(WORDS), rng.integers(1, longest + 1)) for _ in range(rows)]
    return {"en": [" ".join(WORDS[i][0] for i in row) for row in chosen], "de": [" ".join(WORDS[i][1] for i in row[::-1]) for row in chosen]}


def task(**changes):
    return Translation(**{"source": "en", "target": "de", "vocabulary_size": 300, "model": SMALL, "beams": 2, **changes})


def codec(**changes):
    plain = {"source": "en", "target": "de", "vocabulary": Characters(characters=" abcdé"), "max_tokens": 8, "mean_tokens": 4.0}
    return TranslationCodec(**{**plain, **changes})


def lively(made, codec):
    """Weights that make up long answers."""
    torch.manual_seed(0)
    model = made.build(codec).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def rows_of(column):
    return [column.values[a:b].tolist() for a, b in pairwise(column.offsets)]


def test_a_sentence_is_its_tokens_and_an_end():
    columns = codec().encode({"en": ["ab", "", "  a \n b "], "de": ["c", "z", "e\u0301"]})
    assert rows_of(columns["en"]) == [[4, 5, 6, END], [END], [4, 5, 4, 6, END]]
    assert rows_of(columns["de"]) == [[4, 7, END], [4, 3, END], [4, 9, END]]
    assert set(codec().encode({"en": ["x"]})) == {"en"}
    assert rows_of(codec(lowercase=True).encode({"en": ["AB"]})["en"]) == [[4, 5, 6, END]]
    made = codec().decode({"tokens": np.array([[4, 5, 6, 4, 5], [0, 0, 0, 0, 0]]), "log_probability": np.array([-0.5, 1e-9], np.float32)})
    assert made == {"translation": ["ab a", ""], "log_probability": [-0.5, 0.0]}
    assert list(made) == list(codec().schema().outputs)


def test_the_codec_keeps_its_promises():
    rows = {"en": ["ab c", "", "שלום 😀", "a" * 300], "de": ["c", "d", "e", "f"]}
    for made in (codec(), codec(vocabulary=Bytes(), lowercase=True)):
        check_codec(made, rows)
        assert load(made.model_dump(mode="json"), CODECS) == made


def test_a_long_sentence_is_cut_as_the_schema_says_or_refused():
    assert rows_of(codec().encode({"en": ["a" * 9]})["en"]) == [[4, *[5] * 6, END]]
    assert codec().schema().inputs["en"].description == "en. The first 7 tokens are read."
    strict = codec(too_long="refuse")
    assert strict.schema().inputs["en"].description == "en. At most 7 tokens."
    assert len(strict.encode({"en": ["a" * 6]})["en"].values) == 8
    with pytest.raises(BadRows) as caught:
        strict.encode({"en": ["a", "a" * 9]})
    assert str(caught.value) == "rows[1].en: expected at most 7 tokens, found 10. Send it sentence by sentence."
    assert rows_of(ended(ragged([np.array([7, 8, 9]), np.array([], np.int64)]), 3)) == [[7, 8, END], [END]]


def test_bad_rows_are_all_named():
    with pytest.raises(BadRows) as caught:
        codec().encode({"en": ["a", None, 3, "b", "\ud800"], "de": ["a", "b", "c", " ", "d"]})
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        1: "rows[1].en: expected text, found NoneType. Send a string; to classify pictures, train an image-classification task.",
        2: "rows[2].en: expected text, found int. Send a string; to classify pictures, train an image-classification task.",
        3: "rows[3].de: expected a translation, found nothing. Add it, or leave the row out.",
        4: "rows[4].en: expected valid Unicode, found half a surrogate pair. Encode the text as UTF-8.",
    }
    with pytest.raises(DataError) as absent:
        codec().encode({"fr": ["a"]})
    assert str(absent.value) == "en: expected a column of this name, found 1 others. Choose from: fr."


def test_what_is_shown_before_the_end_is_what_all_hypotheses_share():
    made = codec()
    state = {"_tokens": np.array([[[4, 5, 6], [4, 5, 7]], [[4, 5, 6], [4, 5, 7]], [[4, 5, 6], [4, 5, 6]]]), "tokens": np.array([[0] * 3, [4, 0, 0], [4, 8, 0]]),
             "log_probability": np.array([-1e9, -0.3, -0.1]), DONE: np.array([False, False, True])}
    assert made.partial(state) == ["a", "", "d"]


def test_batches_hold_each_row_once_an_epoch_and_weigh_every_token_alike():
    lengths = np.random.default_rng(0).integers(1, 20, 100)
    columns = {"en": ragged([np.full(n, i + 1) for i, n in enumerate(lengths)]), "de": ragged([np.full(n + i % 3, i + 1) for i, n in enumerate(lengths)])}
    drawn = [next(stream_) for stream_ in [bucketed(columns, Draw(8, 0))] for _ in range(12)]
    assert sorted(int(i) for batch in drawn for i in batch["en"][:, 0]) == list(range(1, 101))
    assert [float(batch[WEIGHT][0] / len(batch["en"])) for batch in drawn] == pytest.approx([12 / 100] * 12)
    tokens = [int((batch["en"] != 0).sum() + (batch["de"] != 0).sum()) for batch in drawn]
    padding = sum(batch[n].numel() for batch in drawn for n in ("en", "de")) / sum(tokens)
    assert padding < 1.35
    later = next(bucketed(columns, Draw(8, 0, start=13)))
    first = bucketed(columns, Draw(8, 0))
    for _ in range(13):
        next(first)
    assert torch.equal(next(first)["en"], later["en"])
    assert len(list(zip(range(5), bucketed({"en": columns["en"].take(np.arange(3))}, Draw(64, 0)), strict=False))) == 5


def test_a_batch_in_parts_has_the_gradient_of_the_whole():
    made, found = task().prepare(from_object(pairs(40)))
    model = made.build(found)
    batch = next(bucketed(found.encode(pairs(40)), Draw(16, 0)))
    whole = made.loss(model, batch, torch.Generator()).total
    size = len(batch[WEIGHT])
    parts = sum(made.loss(model, {n: t[i : i + 1] for n, t in batch.items()}, torch.Generator()).total / size for i in range(size))
    torch.testing.assert_close(parts, whole)


def test_prepare_learns_a_vocabulary_and_lengths_from_what_is_text():
    made, found = task().prepare(from_object(pairs(50)))
    assert made.max_tokens == found.max_tokens == max(16, int(1.5 * max(len(row) for n in ("en", "de") for row in rows_of(found.encode(pairs(50))[n]))))
    assert found.mean_tokens == pytest.approx(np.mean(np.diff(found.encode(pairs(50))["de"].offsets)), abs=1e-3)
    assert found.vocabulary.size <= 300
    assert task(max_tokens=3).prepare(from_object(pairs(50)))[1].cut_rows > 0


@pytest.mark.parametrize(("columns", "message"), [
    ({"en": ["a"], "deu": ["b"]}, "de: expected a column of this name, found 2 others. Did you mean 'deu'?"),
    ({"en": ["", None], "de": [" ", "b"]}, "en: expected texts, found none. Name the columns of texts in task.source and task.target."),
    ({"en": [1.0, 2.0], "de": [3.0, 4.0]}, "en: expected texts, found none. Name the columns of texts in task.source and task.target."),
])
def test_prepare_names_what_is_wrong(columns, message):
    with pytest.raises(DataError) as caught:
        task().prepare(from_object(columns))
    assert str(caught.value) == message


def test_going_on_keeps_the_parents_vocabulary():
    _, parent = task(lowercase=True).prepare(from_object(pairs(50)))
    made, found = task().inherit(from_object(pairs(20, seed=3, longest=9)), parent)
    assert found.vocabulary == parent.vocabulary
    assert made.lowercase and found.lowercase
    assert found.max_tokens > parent.max_tokens
    from thuja.apps.text_classification.codec import TextClassificationCodec

    other = TextClassificationCodec(text="t", target="y", names=("a", "b"), words=(), max_characters=9)
    with pytest.raises(SpecError) as caught:
        task().inherit(from_object(pairs(5)), other)
    assert str(caught.value) == "parent: expected a run of a translation, found 'text-classification'. Leave `parent` out."


@pytest.mark.parametrize("kind", ["byte-pairs", pytest.param("characters", marks=pytest.mark.slow), pytest.param("bytes", marks=pytest.mark.slow)])
def test_it_is_a_task(kind):
    check_task(task(vocabulary=kind), pairs(12, longest=3))


def test_an_empty_sentence_has_an_empty_translation_and_batch_mates_change_nothing():
    made, found = task(beams=3).prepare(from_object(pairs(50)))
    made_up = made.programs(lively(made, found), found)
    texts = ["the cat", "", "   ", "שלום 😀", "a big red house sees the dog"]
    together = found.decode(answers(made_up, found.encode({"en": texts})))
    assert together["translation"][1:3] == ["", ""]
    assert together["log_probability"][1:3] == [0.0, 0.0]
    assert all(together["translation"][i] for i in (0, 3, 4))
    for text, translation in zip(texts, together["translation"], strict=True):
        assert found.decode(answers(made_up, found.encode({"en": [text]})))["translation"] == [translation]


@torch.inference_mode()
def test_rows_at_different_places_may_be_laid_together():
    """What a server may do: one row three steps ahead, the other's caches padded."""
    made, found = task().prepare(from_object(pairs(50)))
    made_up = made.programs(lively(made, found), found)
    ahead, behind = (run(made_up["predict"], rectangular(found.encode({"en": [text]}))) for text in ("the cat sees", "a dog sees the house"))
    alone = list(repeated(behind, lambda state: run(made_up["step"], state)))
    for _ in range(3):
        ahead = ahead | run(made_up["step"], ahead)
    together = {name: np.concatenate([one, other]) for (name, one), other in zip(padded(ahead, behind).items(), padded(behind, ahead).values(), strict=True)}
    *_, last = repeated(together, lambda state: run(made_up["step"], state))
    assert found.decode(last)["translation"][1] == found.decode(alone[-1])["translation"][0]
    shown = [found.partial(state)[0] for state in alone]
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert shown[-1] == found.decode(alone[-1])["translation"][0]


def test_earlier_states_are_forgotten_while_an_answer_is_made(monkeypatch):
    """Their caches grow with every step: all together they once filled 21 GB."""
    made, found = task().prepare(from_object(pairs(50)))
    made_up = made.programs(lively(made, found), found)
    seen, alive, plain = [], [], look.run

    def watched(*arguments):
        arrays = plain(*arguments)
        seen.append(weakref.ref(arrays["_keys"]))
        alive.append(sum(one() is not None for one in seen))
        return arrays

    monkeypatch.setattr(look, "run", watched)
    answers(made_up, found.encode({"en": ["the cat sees a dog"]}))
    assert len(seen) > 5
    assert max(alive) <= 3


def padded(one, other):
    """`one` with as many places on every axis as the longer of both."""
    return {n: np.pad(a, [(0, 0), *((0, max(b - c, 0)) for c, b in zip(a.shape[1:], other[n].shape[1:], strict=True))]) for n, a in one.items()}


def test_it_learns_another_order_of_words():
    data, fresh = pairs(600, longest=3), pairs(40, seed=1, longest=3)
    made, found = task(label_smoothing=0.05, max_tokens=16).prepare(from_object(data))
    train = Train(steps=500, batch=32, optimizer=AdamW(learning_rate=4e-3), schedule="linear", warmup=0.1, device="cpu")
    state = begin(made, found, train)
    for _ in steps(made, state, found.encode(data), train):
        pass
    asked = found.encode({"en": fresh["en"]})
    arrays = answers(made.programs(state.model, found), asked)
    outputs = made.outputs(found, asked, arrays, from_object(fresh))
    assert (outputs.target == outputs.arrays["text"]).mean() > 0.9
    part = Part(from_object(fresh), found.encode(fresh))
    charts = made.charts(state.model, found, part, outputs)
    assert [chart.kind for chart in charts] == ["shades"] * len(charts) and charts
    assert charts[0].shades.shape == (len(charts[0].rows), len(charts[0].columns))
    assert charts[0].rows[-1] == charts[0].columns[-1] == "(end)"
    assert np.allclose(charts[0].shades.sum(1), 1, atol=1e-5)
    baseline = made.baseline(found, Part(from_object(data), found.encode(data)), part, 0)
    assert baseline.name == "translation memory (the most alike training sentence)"
    known = set(data["de"])
    assert all(text in known for text in baseline.outputs["text"])
    assert set(baseline.outputs) == set(outputs.arrays)


def test_the_sharpest_layer_is_drawn():
    even, sharp = np.full((1, 2, 4), 0.25), np.eye(4)[None, :2]
    assert np.array_equal(pictures.sharpest(np.stack([even, sharp])), sharp[0])


def test_metrics_are_known_and_choices_have_reasons():
    from thuja.metrics import METRICS
    from thuja.task import Facts

    assert set(task().metrics(codec())) <= set(METRICS)
    assert (task().goal.metric, task().look.metric) == ("bleu", "loss")
    free, timed = (task().choices(codec(), Facts(29_000, 2, "cpu", budget)) for budget in (None, 60.0))
    assert free["train.steps"].reason == "20 passes over 29000 rows"
    assert "train.steps" not in timed


@pytest.mark.slow
def test_the_exported_programs_agree_at_other_shapes():
    import onnxruntime

    from thuja.artifact.onnxscan import scan
    from thuja.graph.onnxwrite import to_onnx

    made, found = task().prepare(from_object(pairs(50)))
    made_up = made.programs(lively(made, found), found)
    first = run(made_up["predict"], rectangular(found.encode({"en": ["the cat", "a dog sees"]})))
    with torch.inference_mode():
        files = {"predict": to_onnx(made_up["predict"], rectangular(found.encode({"en": ["the cat", "a dog sees"]}))),
                 "step": to_onnx(made_up["step"], first | run(made_up["step"], first))}
    sessions = {}
    for name, data in files.items():
        scan(data, name)
        sessions[name] = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def served(name, arrays):
        outputs = [value.name.removesuffix(AFTER) for value in sessions[name].get_outputs()]
        return dict(zip(outputs, sessions[name].run(None, {v.name: arrays[v.name] for v in sessions[name].get_inputs()}), strict=True))

    for texts in (["a"], ["", "the big red dog", "x" * 60], pairs(9, seed=4)["en"]):
        asked = found.encode({"en": texts})
        *_, last = repeated(served("predict", rectangular(asked)), lambda state: served("step", state))
        expected = answers(made_up, asked)
        assert np.array_equal(last["tokens"], expected["tokens"])
        np.testing.assert_allclose(last["log_probability"], expected["log_probability"], atol=1e-5)


@pytest.mark.slow
def test_the_whole_way_from_files_to_an_answer(tmp_path):
    import thuja
    from thuja.artifact.runtime import Predictor

    for part, data in (("train", pairs(400)), ("val", pairs(60, seed=1)), ("test", pairs(60, seed=2))):
        for language, lines in data.items():
            (tmp_path / f"{part}.{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    from thuja.data.infer import infer
    from thuja.data.source import open_source
    from thuja.settings import Check, Data

    data = Data(path=str(tmp_path))
    guess = infer(open_source(data))
    assert guess.task == {"kind": "translation", "source": "en", "target": "de"}
    spec = thuja.Spec(task=task(**{name: value for name, value in guess.task.items() if name != "kind"}), data=data, check=Check(enabled=False),
                      train=Train(steps=300, batch=32, optimizer=AdamW(learning_rate=4e-3), device="cpu", threads=1))
    run_ = thuja.train(spec, root=tmp_path / "runs")
    scores = thuja.evaluate(run_)
    assert scores.metrics["bleu"].value > 60
    assert scores.metrics["bleu"].low < scores.metrics["bleu"].value
    assert "What each token looked at" in (run_.path / "report.html").read_text("utf-8")
    artifact = thuja.export(run_)
    predictor = Predictor(artifact)
    found = predictor.predict({"en": ["the cat sees", ""]})
    assert found["translation"] == ["sieht katze der", ""]


def test_the_codec_needs_no_torch():
    code = "import sys, thuja.apps.translation.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_artefact_asks_for_what_its_vocabulary_needs():
    from thuja.verbs.export import requirements

    assert "tokenizers==" in requirements(codec(vocabulary=BytePairs(merges=())))
    assert "tokenizers" not in requirements(codec())


def test_the_state_names_its_arrays_once():
    assert not set(programs.CHANGED) & set(programs.KEPT)
    assert set(programs.DYNAMIC) <= {*programs.CHANGED, *programs.KEPT}
