"""Text classification: the words, the codec, the task, and the program in onnxruntime."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.text_classification import words
from thuja.apps.text_classification.codec import TextClassificationCodec, characters
from thuja.apps.text_classification.task import Predict, Reject, TextClassification
from thuja.codec import Ragged, load, rectangular, take
from thuja.core.errors import BadRows, DataError
from thuja.fields import Text
from thuja.graph.onnxwrite import to_onnx
from thuja.models.text_cnn import TextCNN
from thuja.models.text_ngrams import TextNgrams
from thuja.models.text_transformer import TextTransformer
from thuja.settings import Train
from thuja.task import Facts, Part
from thuja.training.loop import begin, steps, with_defaults

SMALL = TextNgrams(buckets=2**12)
MODELS = {"cnn": TextCNN(embedding=8, filters=8, ngrams=SMALL), "ngrams": SMALL, "transformer": TextTransformer(dim=16, heads=2, hidden=16, ngrams=SMALL)}


class Rows:
    """Columns in memory as a source."""

    def __init__(self, columns):
        self.columns, self.names = columns, tuple(columns)

    def __len__(self):
        return len(self.columns[self.names[0]])

    def take(self, index):
        return {name: [values[i] for i in index] for name, values in self.columns.items()}

    def batches(self, size=64):
        for start in range(0, len(self), size):
            yield {name: values[start : start + size] for name, values in self.columns.items()}

    def ids(self, index):
        return [str(i) for i in index]


def reviews(rows=400, seed=0):
    """A text is good when it says so, unless a `not` stands right before: the order of words decides."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(rows):
        filler = rng.choice(["the", "film", "a", "plot", "of", "and", "it", "is"], size=int(rng.integers(2, 9))).tolist()
        good, negated = rng.integers(2, size=2)
        said = (["not"] if negated else []) + ["good" if good else "bad"]
        place = int(rng.integers(len(filler) + 1))
        texts.append(" ".join(filler[:place] + said + filler[place:]))
        labels.append("yes" if good != negated else "no")
    return {"text": texts, "label": labels}


def codec(**changes):
    plain = {"text": "text", "target": "label", "names": ("no", "yes"), "words": ("the", "film", "running"), "endings": ("ing",), "max_characters": 40}
    return TextClassificationCodec(**{**plain, **changes})


def texts_of(column):
    return [row.tolist() for row in np.split(column.values, column.offsets[1:-1])]


def test_normal_form_and_words():
    assert words.normal("  １２ ﬁne\u00a0Cafe\u0301\n", lowercase=True) == "12 fine café"
    assert words.normal("Ab", lowercase=False) == "Ab"
    assert words.split("Don't 😀👍 shalom-שלום 3.5!") == ["don't", "😀", "👍", "shalom", "-", "שלום", "3", ".", "5", "!"]
    assert words.split(" \u200b ") == ["\u200b"]


def test_vocabulary_orders_words_by_frequency_then_name_and_reads_others_by_their_ending():
    counts = words.Counter()
    words.learn(["b running singing walking a b", "c 2nd"], 10, counts)
    known, endings = words.choose(counts, 6)
    assert (known, endings) == (("b", "2nd", "a", "c", "running", "singing"), ())
    known, endings = words.choose(counts, 7)
    assert endings == ("ing",)
    vocabulary = words.Vocabulary(known, endings)
    assert vocabulary.ids("b jumping zzz 77 xxxxing") == [5, 4, words.UNKNOWN, words.NUMBER, 4]
    assert vocabulary.ids("") == [words.NOTHING]
    assert vocabulary.fallbacks() == [0, 1, 2, 3, 4, words.UNKNOWN, words.NUMBER, words.UNKNOWN, words.UNKNOWN, 4, 4, 4]


def test_learning_words_needs_bounded_memory(monkeypatch):
    monkeypatch.setattr(words, "MOST_COUNTED", 300)
    counts = words.Counter({"often": 9})
    words.learn((f"w{i}" for i in range(1000)), 10, counts)
    assert len(counts) <= 300
    assert counts["often"] == 9


def test_characters_are_code_points_between_marks():
    assert texts_of(characters(["ab", "", "😀"])) == [[1, 100, 101, 2], [1, 2], [1, 0x1F600 + 3, 2]]


def test_encode_gives_ragged_rows_never_empty_and_targets_where_there_are_any():
    columns = codec().encode({"text": ["The  FILM", "", "jumping"], "label": ["yes", "no", "yes"]})
    assert texts_of(columns["text"]) == [[5, 6], [words.NOTHING], [4]]
    assert texts_of(columns["text_characters"])[0] == [1, *(ord(c) + 3 for c in "the film"), 2]
    assert columns["label"].tolist() == [1, 0, 1]
    assert set(codec().encode({"text": ["x"]})) == {"text", "text_characters"}
    assert codec(lowercase=False).encode({"text": ["The"]})["text_characters"].values.tolist() == [1, ord("T") + 3, ord("h") + 3, ord("e") + 3, 2]


def test_encode_is_row_by_row_independent_and_equal_after_a_round_trip():
    made = codec()
    rows = Text().fake(np.random.default_rng(0), 40)
    whole = made.encode({"text": rows})
    again = load(made.model_dump(mode="json"), CODECS)
    assert again == made
    assert again.digest() == made.digest()
    for i, text in enumerate(rows):
        one = again.encode({"text": [text]})
        for name, column in take(whole, np.array([i])).items():
            assert isinstance(column, Ragged)
            assert column.values.tolist() == one[name].values.tolist()
            assert column.values.dtype == np.int64
            assert column.values.min() > 0


def test_a_long_text_is_cut_as_the_schema_says_or_refused():
    cut = codec().encode({"text": ["the " * 30]})
    assert len(cut["text"].values) == 10
    assert len(cut["text_characters"].values) == 42
    assert codec().schema().inputs["text"].description == "The first 40 characters are read."
    with pytest.raises(BadRows) as caught:
        codec(too_long="refuse").encode({"text": ["fine", "x" * 41]})
    assert str(caught.value) == "rows[1].text: expected at most 40 characters, found 41. Send a shorter text, or raise max_characters."
    assert set(caught.value.rows) == {1}


def test_bad_rows_are_all_named():
    with pytest.raises(BadRows) as caught:
        codec().encode({"text": ["a", b"\xff\xd8\xff", 3, "b", "c"], "label": ["no", "no", "no", "yse", None]})
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        1: "rows[1].text: expected text, found a picture. Send a string; to classify pictures, train an image-classification task.",
        2: "rows[2].text: expected text, found int. Send a string; to classify pictures, train an image-classification task.",
        3: "rows[3].label: expected a known class, found 'yse'. Did you mean 'yes'?",
        4: "rows[4].label: expected a known class, found nothing. Choose from: no, yes.",
    }
    with pytest.raises(DataError) as absent:
        codec().encode({"texts": ["a"]})
    assert str(absent.value) == "text: expected a column of this name, found 1 others. Did you mean 'texts'?"


def test_decode_gives_label_probability_and_all_probabilities():
    decoded = codec().decode({"probability": np.array([[0.25, 0.75]], np.float32)})
    assert decoded == {"label": ["yes"], "probability": [0.75], "probabilities": [{"no": 0.25, "yes": 0.75}]}
    assert list(decoded) == list(codec().schema().outputs)


def test_prepare_settles_and_does_not_depend_on_the_process():
    task, made = TextClassification().prepare(Rows(reviews()))
    assert made.names == ("no", "yes")
    assert made.max_characters == 256
    assert (task.max_characters, task.model) == (256, TextCNN(ngrams=TextNgrams(buckets=2**18)))
    code = ("import sys; sys.path.insert(0, 'tests/apps'); import test_text_classification as t\n"
            "sys.stdout.write(t.TextClassification().prepare(t.Rows(t.reviews()))[1].digest())")
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7", "PYTHONPATH": "."})
    assert other.stdout == made.digest()


def test_prepare_counts_texts_that_are_cut_and_orders_numeric_classes_by_value():
    _, made = TextClassification(max_characters=5).prepare(Rows({"text": ["short", "longer one"] * 6, "label": [10.0, 2.0, 2.0, 10.0] * 3}))
    assert made.cut_rows == 6
    assert made.names == ("2", "10")
    many = {"text": [f"t{i}" for i in range(600)], "label": [str(i % 200) for i in range(600)]}
    assert TextClassification().prepare(Rows(many))[0].model.ngrams.buckets == 2**13


@pytest.mark.parametrize(("columns", "message"), [
    ({"txt": ["a"], "label": ["b"]}, "text: expected a column of this name, found 2 others. Did you mean 'txt'?"),
    ({"text": ["a"], "lable": ["b"]}, "label: expected a column of this name, found 2 others. Did you mean 'lable'?"),
    ({"text": ["", None], "label": ["x", "y"]}, "text: expected texts with words, found none. Name the column of texts in task.text."),
    ({"text": ["a", "b"], "label": ["x", "x"]},
     "label: expected at least two classes, found only 'x'. A target with one value cannot be learned: give rows with others."),
    ({"text": ["a", "b"], "label": [None, ""]},
     "label: expected at least two classes, found none. A target with one value cannot be learned: give rows with others."),
    ({"text": ["a", "b", "c"], "label": ["x", "y", "z"]},
     "label: expected classes that repeat, found 3 different values in 3 rows. Choose another target in task.target."),
])
def test_prepare_names_what_is_wrong(columns, message):
    with pytest.raises(DataError) as caught:
        TextClassification().prepare(Rows(columns))
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_learns_that_the_order_of_words_decides(kind):
    data, fresh = reviews(), reviews(100, seed=1)
    task, made = TextClassification(model=MODELS[kind]).prepare(Rows(data))
    train = Train(steps=150, batch=64)
    train = train.model_copy(update={"optimizer": task.choices(made, Facts(400, 1, "cpu", None))["train.optimizer"].value})
    columns = made.encode(data)
    state = begin(task, made, train)
    for _ in steps(task, state, columns, train):
        pass
    program = task.programs(state.model, made)["predict"]
    asked = made.encode(fresh)
    with torch.inference_mode():
        probability = program.module(*(torch.from_numpy(rectangular(asked)[name]) for name in program.inputs)).numpy()
    assert (probability.argmax(1) == asked["label"]).mean() > 0.9
    assert np.allclose(probability.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["cnn", pytest.param("ngrams", marks=pytest.mark.slow), pytest.param("transformer", marks=pytest.mark.slow)])
def test_the_exported_program_agrees_at_other_shapes(kind):
    import onnxruntime

    data = reviews(60)
    task, made = TextClassification(model=MODELS[kind]).prepare(Rows(data))
    torch.manual_seed(0)
    model = task.build(made)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    program = task.programs(model, made)["predict"]
    inputs = {name: rectangular(made.encode(data))[name] for name in program.inputs}
    session = onnxruntime.InferenceSession(to_onnx(program, inputs), providers=["CPUExecutionProvider"])
    for texts in ([""], ["a"], ["good", "", "😀 not bad at all, said the man " * 20], data["text"][:7]):
        asked = rectangular(made.encode({"text": texts}))
        answered = session.run(None, asked)[0]
        with torch.inference_mode():
            expected = program.module(*(torch.from_numpy(asked[name]) for name in program.inputs)).numpy()
        np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_choices_have_reasons_and_leave_the_horizon_to_a_budget():
    task, made = TextClassification(model=SMALL).prepare(Rows(reviews(60)))
    free, timed = (task.choices(made, Facts(6920, 2, "cpu", budget)) for budget in (None, 60.0))
    assert (free["train.batch"].value, free["train.steps"].value) == (64, 1081)
    assert free["train.steps"].reason == "10 passes over 6920 rows, at least 1000 steps"
    assert "train.steps" not in timed


def test_metrics_are_known_and_binary_ones_only_for_two_classes():
    from thuja.metrics import METRICS

    task = TextClassification()
    two, three = task.metrics(codec()), task.metrics(codec(names=("a", "b", "c")))
    assert set(two) - set(three) == {"average_precision"}
    assert set(two) <= set(METRICS)
    assert task.goal.metric in two


def test_the_baseline_learns_from_the_same_rows():
    data, fresh = reviews(), reviews(100, seed=1)
    task, made = TextClassification(model=SMALL).prepare(Rows(data))
    train, test = (Part(Rows(rows), made.encode(rows)) for rows in (data, fresh))
    answer = task.baseline(made, train, test, 0)
    assert answer.name == "logistic regression on TF-IDF of words and pairs"
    assert answer.outputs["probability"].shape == (100, 2)
    assert (answer.outputs["probability"].argmax(1) == test.columns["label"]).mean() > 0.9


def test_the_codec_needs_no_torch():
    code = "import sys, thuja.apps.text_classification.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def questions(rows=300, seed=0):
    """Two intents by their words, and what belongs to neither: words of no intent."""
    rng = np.random.default_rng(seed)
    said = {"pay": ["money", "bill", "pay"], "play": ["song", "music", "play"], "oos": ["weather", "rain", "sun", "cloud"]}
    labels = [("oos", "pay", "play")[i] for i in rng.integers(3, size=rows)]
    return {"text": [" ".join(["please", *rng.choice(said[label], 2)]) for label in labels], "label": labels}


def test_the_class_for_nothing_comes_last_whatever_its_name_and_whether_or_not_it_was_seen():
    rows = questions()
    task, codec = TextClassification(reject=Reject(), model=SMALL).prepare(Rows(rows))
    assert (codec.names, codec.threshold) == (("pay", "play", "oos"), 0.5)
    assert codec.schema().outputs["label"].description == "label; oos where no other has a probability of 0.5"
    inside = [i for i, label in enumerate(rows["label"]) if label != "oos"]
    _, other = TextClassification(reject=Reject(threshold=0.7), model=SMALL).prepare(Rows({n: [v[i] for i in inside] for n, v in rows.items()}))
    assert (other.names, other.threshold) == (("pay", "play", "oos"), 0.7)
    assert task.metrics(codec)[:2] == ("in_scope_accuracy", "out_of_scope_recall")
    with pytest.raises(DataError, match="label: expected at least two classes, found only 'pay'"):
        TextClassification(reject=Reject()).prepare(Rows({"text": ["a b", "c d"], "label": ["pay", "oos"]}))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_nothing_is_the_answer_exactly_where_no_class_reaches_the_threshold(threshold):
    logits = 3 * torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    net = torch.nn.Identity()
    net.forward = lambda words, characters: words  # type: ignore[method-assign]
    found = Predict(net, threshold)(logits, logits)
    best = logits.softmax(1)[:, :-1].amax(1)
    assert torch.equal(found.argmax(1) == 3, best < threshold)
    assert torch.allclose(found.sum(1), torch.ones(500)) and bool((found >= 0).all())
    assert torch.equal(found[:, :-1].argmax(1), logits[:, :-1].argmax(1))


def test_a_rejecting_classifier_learns_serves_and_has_a_baseline_that_rejects_too():
    from onnxruntime import InferenceSession

    from thuja.testing import check_task

    task = TextClassification(reject=Reject(threshold=0.6), model=SMALL)
    rows = questions()
    check_task(task.model_copy(update={"model": MODELS["cnn"]}), {name: values[:40] for name, values in rows.items()})
    inside = [i for i, label in enumerate(rows["label"]) if label != "oos"]
    for known in (rows, {n: [v[i] for i in inside] for n, v in rows.items()}):
        settled, codec = task.prepare(Rows(known))
        columns, test = codec.encode(known), questions(90, seed=1)
        asked = codec.encode(test)
        train = with_defaults(Train(steps=60, batch=32, device="cpu", optimizer={"kind": "adamw"}))
        state = begin(settled, codec, train)
        for step in steps(settled, state, columns, train):
            assert step.number <= 60
        program = settled.programs(state.best_model.eval(), codec)["predict"]
        arrays = rectangular(asked)
        with torch.inference_mode():
            want = program.module(*(torch.from_numpy(arrays[name]) for name in program.inputs)).numpy()
        found = InferenceSession(to_onnx(program, arrays)).run(["probability"], {name: arrays[name] for name in program.inputs})[0]
        assert np.allclose(found, want, atol=1e-5)
        assert (want.argmax(1) == asked["label"]).mean() > 0.9
        probability = settled.baseline(codec, Part(Rows(known), columns), Part(Rows(test), asked), 0).outputs["probability"]
        assert probability.shape == want.shape and (probability.argmax(1) == asked["label"]).mean() > 0.9
