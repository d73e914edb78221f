"""Recommendation: the codec, the task, the programs in onnxruntime, and the whole way on made-up interactions."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import thuja
from thuja.apps import CODECS
from thuja.apps.recommendation import als
from thuja.apps.recommendation.codec import RecommendationCodec
from thuja.apps.recommendation.ranks import ranked
from thuja.apps.recommendation.task import Recommendation, aligned, next_items
from thuja.artifact.runtime import Predictor
from thuja.codec import Ragged, load, rectangular
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.fields import Items, Ranking
from thuja.metrics import METRICS
from thuja.models.matrix_factorisation import MatrixFactorisation
from thuja.models.sasrec import SASRec
from thuja.models.two_tower import TwoTower
from thuja.settings import AdamW, TimeSplit, Train
from thuja.settings import Data as Settings
from thuja.spec import Spec
from thuja.task import Facts, Part
from thuja.testing import check_task
from thuja.training.look import answers
from thuja.training.loop import begin, steps

MODELS = {"sasrec": SASRec(dim=16, depth=1, hidden=16, dropout=0.1), "two-tower": TwoTower(dim=16, hidden=16, dropout=0.1),
          "factors": MatrixFactorisation(dim=8, dropout=0.1)}
ITEMS = 24


def interactions(users=120, seed=0, ratings=False):
    """Each user walks round a ring of items from somewhere, by one step or two as the user is: the order tells what comes next."""
    rng = np.random.default_rng(seed)
    rows = {"user": [], "item": [], "when": []} | ({"stars": []} if ratings else {})
    for user in range(users):
        place, stride = int(rng.integers(ITEMS)), 1 + user % 2
        for step in range(int(rng.integers(4, 9))):
            rows["user"].append(f"u{user}")
            rows["item"].append(f"i{(place + step * stride) % ITEMS}")
            rows["when"].append(float(step))
            if ratings:
                rows["stars"].append(float(1 + (user + place + step * stride) % 5))
    order = rng.permutation(len(rows["user"]))
    return {name: [values[i] for i in order] for name, values in rows.items()}


def prepared(model=MODELS["sasrec"], ratings=False, **changes):
    task = Recommendation(model=model, time="when", longest=6, top=5, **changes)
    parts = task.arrange({"train": from_object(interactions(ratings=ratings))})
    task, codec = task.prepare(parts["train"])
    return task, codec, parts


def encoded(codec, source):
    return codec.encode(source.take(np.arange(len(source))))


def codec(**changes):
    plain = {"items": ("a", "b", "c", "d"), "counts": (4, 3, 2, 1), "longest": 3, "top": 2}
    return RecommendationCodec(**{**plain, **changes})


def asked(*histories, **more):
    empty = [[] for _ in histories]
    return {"history": list(histories), "exclude": empty, "only": empty} | more


def lists(column):
    assert isinstance(column, Ragged)
    return [row.tolist() for row in np.split(column.values, column.offsets[1:-1])]


def test_encode_reads_the_last_items_and_knows_what_was_seen():
    columns = codec().encode(asked(["a", "x", "b", "c", "d"], [], None, exclude=[[], ["d", "y"], []], only=[["b"], ["y"], []]))
    assert lists(columns["history"]) == [[2, 3, 4], [], []]
    assert lists(columns["seen"]) == [[1, 2, 3, 4], [4], []]
    assert lists(columns["only"]) == [[2], [], []]
    assert columns["limited"].tolist() == [1, 1, 0]
    assert columns["unknown"].tolist() == [1, 0, 0]
    assert set(columns) == {"history", "seen", "only", "limited", "unknown"}
    assert lists(codec(repeats=True).encode(asked(["a"], exclude=[["b"]]))["seen"]) == [[2]]


def test_encode_of_users_targets_ratings_and_negatives():
    made = codec(users=("ann", "bob"), ratings=(1.0, 5.0, 3.0))
    columns = made.encode(asked(["a", "b", "c", "d"], ["b"], user=["bob", None], target=["a", "zzz"], ratings=[[1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0]],
                                negatives=[["d", "?"], []]))
    assert columns["user"].tolist() == [2, 0]
    assert columns["target"].tolist() == [[1], [0]]
    assert lists(columns["ratings"]) == [[2.0, 3.0, 4.0, 5.0], [2.0, 3.0]]
    assert lists(columns["negatives"]) == [[4], []]


def test_bad_rows_are_all_named():
    with pytest.raises(BadRows) as caught:
        codec().encode(asked(["a"], "a", ["a", 3], ["x" * 1001], ["a"] * 1001, target=["a", "a", "a", "a", "a"]))
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        1: 'rows[1].history: expected a list of names, found str. Send a list such as ["first", "second"], the latest last.',
        2: "rows[2].history[1]: expected a name of 1 to 1000 characters, found int. Send names of items as text.",
        3: "rows[3].history[0]: expected a name of 1 to 1000 characters, found 1001 characters. Send names of items as text.",
        4: "rows[4].history: expected at most 1000 names, found 1001. Send the latest ones.",
    }
    with pytest.raises(BadRows, match=r"rows\[0\].target: expected what was taken next, found nothing. Give the name of the item."):
        codec().encode(asked(["a"], target=[None]))
    with pytest.raises(DataError) as absent:
        codec().encode({"histories": [[]], "exclude": [[]], "only": [[]]})
    assert str(absent.value) == "history: expected a column of this name, found 3 others. Did you mean 'histories'?"


def test_decode_leaves_out_what_is_forbidden_and_says_what_it_rests_on():
    answer = {"item": np.array([[2, 1], [3, 4]]), "score": np.array([[0.5, 0.25], [0.5, -1e30]], np.float32), "basis": np.array([1, 0]),
              "ignored": np.array([0, 2])}
    decoded = codec().decode(answer)
    assert decoded == {"recommended": [[{"item": "b", "score": 0.5}, {"item": "a", "score": 0.25}], [{"item": "c", "score": 0.5}]],
                       "basis": ["history", "popularity"], "unknown": [0.0, 2.0]}
    assert list(decoded) == list(codec().schema().outputs)
    assert isinstance(codec().schema().inputs["history"], Items)
    assert isinstance(codec().schema().outputs["recommended"], Ranking)


def test_the_codec_reads_back_and_needs_no_torch():
    made = codec(users=("ann",), ratings=(1.0, 5.0, 3.0))
    assert load(made.model_dump(mode="json"), CODECS) == made
    code = "import sys, thuja.apps.recommendation.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_comes_next_at_each_place():
    history, target = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[9], [4]])
    assert next_items(history, target).tolist() == [[6, 7, 9], [4, 0, 0]]
    assert aligned(torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 5.0, 0.0, 0.0]]), history).tolist() == [[2.0, 3.0, 4.0], [5.0, 0.0, 0.0]]


@pytest.mark.parametrize(("kind", "changes"), [
    ("sasrec", {}), ("two-tower", {"objective": "sampled-softmax", "negatives": 16}), ("factors", {"objective": "bpr", "negatives": 8}),
    pytest.param("factors", {"objective": "ratings", "rating": "stars"}, id="factors-ratings"),
])
def test_the_contract(kind, changes):
    task, _, parts = prepared(MODELS[kind], ratings="rating" in changes, **changes)
    check_task(task, parts["train"].take(np.arange(40)))


def trained(task, made, parts, count=150):
    columns = encoded(made, parts["train"])
    train = Train(steps=count, batch=64, optimizer=AdamW(learning_rate=0.01))
    state = begin(task, made, train)
    for _ in steps(task, state, columns, train):
        pass
    return state.model.eval()


@pytest.mark.parametrize("kind", ["sasrec", pytest.param("two-tower", marks=pytest.mark.slow)])
def test_the_order_of_what_was_taken_is_learned(kind):
    task, made, parts = prepared(MODELS[kind])
    model = trained(task, made, parts)
    columns = encoded(made, parts["test"])
    outputs = task.outputs(made, columns, answers(task.programs(model, made), columns, task.judged), parts["test"])
    assert outputs.target[:3].tolist() == parts["test"].take(np.arange(3))["target"]
    assert METRICS["ndcg_10"].value(outputs) > 0.6
    theirs = task.baseline(made, Part(parts["train"], encoded(made, parts["train"])), Part(parts["test"], columns), 0)
    assert set(theirs.outputs) == set(outputs.arrays)
    assert METRICS["ndcg_10"].value(outputs) > METRICS["ndcg_10"].value(outputs._replace(arrays=theirs.outputs)) > 0.2
    titles = [chart.title for chart in task.charts(model, made, Part(parts["test"], columns), outputs)]
    assert titles == ["Hit rate by length of history", "Popularity of what is recommended"]


def test_factors_know_their_users_and_answer_others_from_the_history():
    task, made, parts = prepared(MODELS["factors"])
    model = trained(task, made, parts, 60)
    programs = task.programs(model, made)
    rows = {"user": ["u1", "nobody", None, "u1"], "history": [["i1", "i2"], ["i1", "i2"], [], []], "exclude": [[]] * 4, "only": [[]] * 4}
    decoded = made.decode(answers(programs, made.encode(rows)))
    assert decoded["basis"] == ["user", "history", "popularity", "user"]
    assert decoded["recommended"][0] != decoded["recommended"][1]
    assert [made.counts[made.ids[entry["item"]] - 1] for entry in decoded["recommended"][2]] == list(made.counts[:5])


def test_filters_are_kept():
    task, made, _ = prepared()
    torch.manual_seed(0)
    programs = task.programs(task.build(made), made)
    rows = asked(["i1", "i2", "never heard of"], ["i1"], ["i1"], only=[[], ["i1", "i3", "i4"], ["nothing known"]], exclude=[["i5"], ["i3"], []])
    decoded = made.decode(answers(programs, made.encode(rows)))
    first, second, third = [[entry["item"] for entry in answer] for answer in decoded["recommended"]]
    assert len(first) == 5
    assert not {"i1", "i2", "i5"} & set(first)
    assert (second, third) == (["i4"], [])
    assert decoded["unknown"] == [1.0, 0.0, 0.0]


def test_the_graph_ranks_as_numpy_does():
    task, made, parts = prepared()
    torch.manual_seed(0)
    model = task.build(made).eval()
    columns = encoded(made, parts["test"])
    columns["negatives"] = Ragged(np.tile(np.array([1, 2, 3, 0][:3]), len(parts["test"])), np.arange(len(parts["test"]) + 1) * 3)
    programs = task.programs(model, made)
    found = answers(programs, columns, "rank")

    def score(part):
        with torch.no_grad():
            return programs["rank"].module.scorer(torch.from_numpy(part["history"].padded()))[0].numpy()

    wanted = ranked(score, columns, 10)
    assert {name: array.tolist() for name, array in found.items()} == {name: array.tolist() for name, array in wanted.items()}
    assert found["rank"].max() > 3
    assert not any(set(top) & set(seen) for top, seen in zip(found["top"].tolist(), lists(columns["seen"]), strict=True))


@pytest.mark.parametrize("kind", ["sasrec", "factors", pytest.param("two-tower", marks=pytest.mark.slow)])
def test_the_exported_programs_agree_at_other_shapes(kind):
    import onnxruntime

    from thuja.artifact.onnxscan import scan
    from thuja.graph.onnxwrite import to_onnx

    task, made, parts = prepared(MODELS[kind])
    torch.manual_seed(0)
    model = task.build(made)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    columns = encoded(made, parts["test"])
    for name, program in task.programs(model, made).items():
        data = to_onnx(program, {n: rectangular(columns)[n] for n in program.inputs})
        scan(data, name)
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for rows in (1, 7, 50):
            inputs = {n: rectangular({m: columns[m].take(np.arange(rows)) if isinstance(columns[m], Ragged) else columns[m][:rows] for m in program.inputs})[n]
                      for n in program.inputs}
            with torch.inference_mode():
                expected = program.module(*(torch.from_numpy(inputs[n]) for n in program.inputs))
            for answered, wanted in zip(session.run(None, inputs), expected, strict=True):
                np.testing.assert_allclose(answered, wanted.numpy(), atol=1e-5)


def test_prepare_names_what_is_wrong():
    one = from_object({"user": ["a", "a", "b", "b"], "item": ["x", "x", "x", "x"]})
    with pytest.raises(DataError) as nothing:
        Recommendation().arrange({"train": one})
    assert str(nothing.value) == ("data: expected users with two items or more, found 2 users with 2 interactions in all. "
                                  "A history and what came next are learned from: give more interactions of the same users.")
    with pytest.raises(DataError, match=r"item: expected at least two items, found 1. Give interactions with more items."):
        Recommendation(repeats=True, time="t").prepare(Recommendation(repeats=True, time="t").arrange(
            {"train": from_object({"user": ["a"] * 4, "item": ["x"] * 4, "t": [1, 2, 3, 4]})})["train"])
    with pytest.raises(SpecError, match=r"task.objective: expected a column of ratings for objective ratings, found none. Name it in task.rating."):
        prepared(objective="ratings", model=MODELS["factors"])
    with pytest.raises(SpecError, match="expected model matrix-factorisation for objective ratings, found sasrec"):
        prepared(ratings=True, rating="stars", objective="ratings")


def test_alternating_least_squares_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    other = rng.normal(size=(7, 3))
    row = np.array([1, 4])
    found = als.solve([row, np.zeros(0, int)], other, unobserved=0.2, regularisation=0.1)
    weight = 0.1 * (2 + 0.2 * 7) ** als.POWER
    gradient = other[row].T @ (other[row] @ found[0] - 1) + 0.2 * other.T @ (other @ found[0]) + weight * found[0]
    assert np.allclose(gradient, 0)
    assert np.allclose(found[1], 0)


def test_choices_have_reasons_and_leave_the_horizon_to_a_budget():
    task, made, _ = prepared()
    free, timed = (task.choices(made, Facts(1000, 1, "cpu", budget)) for budget in (None, 60.0))
    assert free["train.batch"].value == 32
    assert "train.steps" in free
    assert "train.steps" not in timed
    assert (task.look.metric, task.model_copy(update={"objective": "sampled-softmax"}).look.metric) == ("ndcg_10", "loss")
    assert set(task.metrics(made)) <= set(METRICS)


@pytest.mark.slow
def test_the_whole_way_with_a_split_by_time(tmp_path, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    rows = interactions(300)
    rows["when"] = [f"2026-01-{1 + int(step):02d}" for step in rows["when"]]
    task = Recommendation(model=MODELS["two-tower"], time="when", holdout="split", longest=6, top=3)
    run = thuja.train(Spec(task=task, data=Settings(split=TimeSplit(column="when", validation=0.2, test=0.2)), train=Train(steps=60)), data=rows,
                      root=tmp_path / "runs")
    scores = thuja.evaluate(run, data=rows)
    assert scores.count > 300
    assert scores.metrics["ndcg_10"].value > 0.4
    assert scores.baseline_name.startswith("alternating least squares")
    report = (run.path / "report.html").read_text()
    assert "Hit rate by length of history" in report
    assert "Popularity of what is recommended" in report
    predictor = Predictor(thuja.export(run, data=rows))
    answer = predictor.predict(asked(["i1", "i2"], [], ["nobody knows it"]))
    assert answer["basis"] == ["history", "popularity", "popularity"]
    assert answer["unknown"] == [0.0, 0.0, 1.0]
    assert [len(recommended) for recommended in answer["recommended"]] == [3, 3, 3]


@pytest.mark.parametrize("kind", ["sasrec", "two-tower"])
def test_someone_without_a_history_or_with_an_unknown_one_is_told_what_is_popular(kind):
    task, made, _ = prepared(MODELS[kind])
    torch.manual_seed(0)
    decoded = made.decode(answers(task.programs(task.build(made).eval(), made), made.encode(asked([], ["never heard of"], ["i1"]))))
    assert decoded["basis"] == ["popularity", "popularity", "history"] and decoded["unknown"] == [0.0, 1.0, 0.0]
    for places in decoded["recommended"][:2]:
        assert [made.counts[made.ids[entry["item"]] - 1] for entry in places] == list(made.counts[:5])
