"""A champion's spec is trained again on newer rows: it lands beside the champion with its lineage, and what may not be learned from is refused."""

import json

import lives
import numpy as np
import pytest
import toys

from thuja.core.errors import DeploymentError
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.labels import Label
from thuja.life.ledger import Said
from thuja.life.plan import Plan, Record, Renew
from thuja.run import Run
from thuja.verbs.deploy import deploy
from thuja.verbs.evaluate import evaluate
from thuja.verbs.export import export
from thuja.verbs.retrain import Ways, retrain
from thuja.verbs.train import train

SPEC = {"thuja": 1, "task": {"kind": "table", "target": "up", "problem": "binary", "numbers": ["a", "b"], "categories": ["shop"]},
        "data": {"path": "rows.csv", "split": {"kind": "time", "column": "date"}}, "train": {"epochs": 8, "batch": 32, "threads": 1, "watch": False},
        "evaluate": {"baseline": False, "resamples": 50}, "life": {"record": {"inputs": "full"}, "harm": {"groups": ["shop"]}}}


def rows(count, turned=0.0, start="2020-01-01", seed=0):
    """Two numbers and a class along a direction that is turned by so much."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, count))
    dates = np.datetime64(start) + np.arange(count)
    return [f"{date},{x:.4f},{y:.4f},{'ns'[i % 2]},{'yes' if x * np.cos(turned + 0.8) + y * np.sin(turned + 0.8) > 0 else 'no'}"
            for i, (date, x, y) in enumerate(zip(dates, a, b, strict=True))]


def table(place, *parts):
    place.write_text("\n".join(["date,a,b,shop,up", *(line for part in parts for line in part)]))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with its artefact, where its spec and its rows lie."""
    home = tmp_path_factory.mktemp("retrain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUJA_CACHE", str(home / "cache"))
        table(home / "rows.csv", rows(300))
        (home / "thuja.yaml").write_text(json.dumps(SPEC))
        run = train(home / "thuja.yaml", root=home / "runs")
        evaluate(run)
        export(run)
        yield run


@pytest.fixture
def shop(made, tmp_path):
    table(made.path.parent.parent / "rows.csv", rows(300))
    return deploy(made.path, Deployment(tmp_path / "shop", lives.Clock(2e9)), by="ada", waive={"ageing": "it is a test"})


def test_the_artefact_says_where_it_comes_from(made):
    artifact = json.loads((made.path / "artifact" / "life.json").read_text())
    assert artifact["dated"] and artifact["reference"]["usual_gap"] == lives.DAY and artifact["checks"] == {"ran": True, "found": [], "waived": {}}
    assert (artifact["reference"]["rows"], set(artifact["reference"]["groups"])) == (60, {"shop=n", "shop=s"})
    assert artifact["spec"]["train"]["steps"] == artifact["spec"]["train"]["optimizer"] == "auto" and artifact["spec"]["train"]["batch"] == 32
    assert made.records()[0]["time"] <= artifact["trained"] <= made.records()[0]["time"] + 600


def test_a_grown_file_is_learned_from(shop, made):
    table(made.path.parent.parent / "rows.csv", rows(300), rows(300, turned=1.2, start="2020-11-01", seed=1))
    name = retrain(shop, by="ada", overrides=["train.epochs=12"])
    now = shop.standings()
    facts = now.of(name).facts
    assert (now.champion, now.beside, now.of(name).standing) == ("1", "2", "SHADOW")
    assert facts["parent"] == "1" and facts["trained"] == 2e9 and facts["why"] == "asked for" and facts["snapshot"] != now.of("1").facts["snapshot"]
    assert facts["changed"]["rows"] == {"train": 420, "validation": 60, "test": 120} and facts["changed"]["unseen"]
    assert facts["changed"]["compared"] == 120 and facts["changed"]["loss_after"] < facts["changed"]["loss_before"]
    assert shop.evidence.get_data(facts["spec"])["train"]["epochs"] == 12
    gates = [event.body["gates"] for event in shop.ledger.events() if event.kind == "moved" and event.version == name]
    assert gates[1]["ageing"]["waived"] == "it is a test (as for version 1, by ada)" and Run.open(facts["run"]).path.parent == shop.path / "runs"


@pytest.mark.slow
def test_labelled_requests_are_learned_from_and_only_the_newest_rows(shop, tmp_path):
    (shop.path / "plan.json").write_text(Plan(record=Record(inputs="full"), renew=Renew(rows=200), alone=()).model_dump_json())
    shop = Deployment(shop.path, shop.clock)
    rng = np.random.default_rng(5)
    calls = [Call(shop.calls.new_id(2e9 - 60 + i / 10), 2e9 - 60 + i / 10, "1", {"a": float(a), "b": float(b), "shop": "n"}, {"label": "yes"}, 1.0, 1.0)
             for i, (a, b) in enumerate(rng.normal(size=(120, 2)))]
    shop.calls.add(calls)
    shop.labels.add([Label(call.id, 2e9, {"label": "yes" if call.inputs["b"] > 0 else "no"}) for call in calls[:100]], came=2e9)
    name = retrain(shop, by="ada", ways=Ways(traffic=True))
    facts = shop.standings().of(name).facts
    assert sum(facts["changed"]["rows"].values()) == 200 and facts["changed"]["compared"] > 30
    assert shop.standings().of(name).standing == "CANDIDATE"


@pytest.mark.slow
def test_a_champion_of_texts_is_gone_on_from(tmp_path, monkeypatch):
    from shell import write_texts

    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    write_texts(tmp_path / "films.csv", 200)
    spec = {"task": {"kind": "text-classification", "text": "sentence", "target": "label"}, "data": {"path": "films.csv"}, "check": {"enabled": False},
            "train": {"steps": 6, "threads": 1, "watch": False}, "evaluate": {"baseline": False, "resamples": 50}}
    (tmp_path / "thuja.yaml").write_text(json.dumps(spec))
    run = train(tmp_path / "thuja.yaml", root=tmp_path / "runs")
    evaluate(run)
    export(run)
    shop = deploy(run.path, tmp_path / "shop", by="ada", waive={"checks": "made up"})
    write_texts(tmp_path / "films.csv", 300)
    name = retrain(shop, by="ada", data=tmp_path / "films.csv", ways=Ways(warm=True))
    facts = shop.standings().of(name).facts
    assert Run.open(facts["run"]).read("data.json")["parent"] and not facts["changed"]["unseen"] and shop.standings().beside == name


def test_what_may_not_be_done(made, shop, tmp_path):
    with pytest.raises(DeploymentError, match="retrain: expected a champion whose spec is trained again"):
        retrain(Deployment.create(tmp_path / "none", Plan(), shop.clock))
    with pytest.raises(DeploymentError, match="retrain --warm: expected a kind of task that can go on from another run, found 'table'"):
        retrain(shop, ways=Ways(warm=True))
    shop.ledger.append([Said("frozen", "1", {"why": "a is stuck"})])
    with pytest.raises(DeploymentError, match=r"learning is frozen: a is stuck. .*--waive frozen=why"):
        retrain(shop)
    shop.ledger.append([Said("thawed", "1", {"why": "mended"})])
    (made.path.parent.parent / "rows.csv").rename(tmp_path / "rows.csv")
    with pytest.raises(DeploymentError, match=r"expected the data of the champion's spec, found nothing at .*rows.csv. .*--data PATH"):
        retrain(shop)


def test_traffic_needs_whole_requests_of_plain_fields(made, tmp_path):
    waive = {"ageing": "it is a test"}
    summary = deploy(made.path, Deployment(tmp_path / "a", lives.Clock(2e9)), plan=Plan(), waive=waive)
    table(made.path.parent.parent / "rows.csv", rows(300))
    with pytest.raises(DeploymentError, match=r"kept requests with their rows \(record.inputs: full\), found summary"):
        retrain(summary, ways=Ways(traffic=True))


def test_a_champion_that_learned_from_memory_needs_rows(tmp_path):
    spec = lives.origin().spec | {"data": {}}
    deployment = deploy(lives.artifact(tmp_path / "a", about=lives.origin(spec=spec)), lives.empty(tmp_path / "shop"))
    assert deployment.kinds == toys.KINDS
    with pytest.raises(DeploymentError, match="found a champion that learned from rows in memory"):
        retrain(deployment)
