"""An artefact goes into service: the first one at once, a later one as a candidate, and nothing is written while a gate is shut."""

import json

import lives
import pytest
import toys

from thuja.artifact.folder import Artifact
from thuja.core.errors import ArtifactError, DataError, DeploymentError, SpecError
from thuja.life.deployment import Deployment
from thuja.life.plan import Harm, Plan
from thuja.life.states import GATES
from thuja.verbs.deploy import deploy


def gates(deployment, version):
    return {(event.body["from"], event.body["to"]): event.body["gates"] for event in deployment.ledger.events()
            if event.kind == "moved" and event.version == version}


def test_the_first_version_answers_at_once_and_every_gate_is_written_down(tmp_path):
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), by="ada")
    now = deployment.standings()
    assert (now.champion, now.of("1").standing) == ("1", "CHAMPION") and {event.by for event in deployment.ledger.events()} == {"ada"}
    shown = gates(deployment, "1")
    assert all(set(GATES[step]) == set(found) for step, found in shown.items()) and len(shown) == 5
    assert shown["TRAINED", "CANDIDATE"]["parity"]["found"] == "training, artefact and server within 0 on 2 probes"
    assert shown["CANARY", "CHAMPION"]["comparison"]["found"] == "nobody answers yet"
    assert deployment.reference("1").rows == 300 and now.of("1").facts["trained"] == lives.BEGIN - lives.DAY
    assert deployment.evidence.get_data(now.of("1").facts["spec"])["task"]["target"] == "price"
    assert Deployment.open(tmp_path / "shop").plan == Plan()


def test_a_later_one_is_a_candidate_and_the_same_one_is_refused(tmp_path):
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"))
    deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment)
    now = deployment.standings()
    assert (now.champion, now.of("2").standing, now.beside) == ("1", "CANDIDATE", "")
    with pytest.raises(DeploymentError, match=r"not deployed yet, found version 2 \(CANDIDATE\)"):
        deploy(tmp_path / "b", deployment)


@pytest.mark.parametrize(("about", "changed", "gate", "found"), [
    ({"dated": True}, {}, "ageing", "its rows have dates, and nobody has looked"),
    ({"checks": {"ran": False, "found": [], "waived": {}}}, {}, "checks", "the data checks did not run"),
    ({"snapshot": ""}, {}, "snapshot", "does not say which data"),
    ({}, {"scores.json": b"{}"}, "metrics", "not evaluated"),
    ({}, {"card.md": b"Not evaluated yet: run it."}, "card", "not written yet"),
    ({}, {"certificate.json": toys.plain_files()["certificate.json"]}, "parity", "compares nothing with a live server"),
    ({}, {"predict.onnx": toys.plain_files(weight=3.0)["predict.onnx"]}, "loads", "made-up 0"),
])
def test_a_shut_gate_stops_it_before_anything_is_written(tmp_path, about, changed, gate, found):
    made = lives.artifact(tmp_path / "a", about=lives.origin(**about), changed=changed)
    with pytest.raises(DeploymentError, match=f"expected passed: {gate}, found {gate}: .*{found}") as refused:
        deploy(made, lives.empty(tmp_path / "shop"))
    assert f"--waive {gate}=why" in refused.value.fix and not (tmp_path / "shop").exists()
    deployment = deploy(made, lives.empty(tmp_path / "shop"), by="ada", waive={gate: "it is a test"})
    waived = [found["waived"] for step in gates(deployment, "1").values() for name, found in step.items() if name == gate]
    assert waived == ["it is a test"]


@pytest.mark.parametrize(("waive", "message"), [({"agieng": "x"}, "Did you mean 'ageing'?"), ({"ageing": " "}, "expected a reason, found nothing")])
def test_waivers_need_a_gate_and_a_reason(tmp_path, waive, message):
    with pytest.raises(DeploymentError, match=message):
        deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), waive=waive)


def test_the_ageing_test_opens_the_gate_and_its_windows_become_those_of_the_plan(tmp_path):
    ageing = {"window": 10 * lives.DAY, "dated": True, "lives": [[8.0, True]], "calendar": {"every": 6.0}}
    made = lives.artifact(tmp_path / "a", about=lives.origin(dated=True, ageing=ageing))
    deployment = deploy(made, lives.empty(tmp_path / "shop"), plan=Plan(harm=Harm(window=5 * lives.DAY)))
    assert deployment.reference("1").lives == ((16.0, True),) and deployment.reference("1").calendar == 12.0


def test_an_old_artefact_needs_rows_with_their_truth(tmp_path):
    from thuja.artifact import folder

    files = toys.plain_files() | {"spec.yaml": b"thuja: 1\ntask: {kind: table, target: price}\n"}
    folder.write(tmp_path / "old", files, kind="toy-table")
    with pytest.raises(DeploymentError, match=r"give rows whose truth is known: --rows FILE"):
        deploy(tmp_path / "old", lives.empty(tmp_path / "shop"))
    waive = dict.fromkeys(("snapshot", "checks", "metrics", "parity", "ageing"), "from before there was any of it")
    with pytest.raises(DataError, match="columns shop, size and price"):
        deploy(tmp_path / "old", lives.empty(tmp_path / "shop"), rows={"size": [1.0, 2.0], "shop": ["a", "b"]}, waive=waive)
    deployment = deploy(tmp_path / "old", lives.empty(tmp_path / "shop"), rows=lives.priced(50), waive=waive)
    assert deployment.reference("1").rows == 50


def test_a_group_that_was_not_measured_needs_rows(tmp_path):
    plan = Plan(harm=Harm(groups=("shop",)))
    with pytest.raises(DeploymentError, match=r"the losses of the artefact by 'shop', found none.*--rows FILE"):
        deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), plan=plan)
    assert set(deploy(tmp_path / "a", lives.empty(tmp_path / "shop"), plan=plan, rows=lives.priced(60)).reference("1").groups) == {"shop=north", "shop=south"}
    lives.artifact(tmp_path / "b", about=lives.origin(plan))
    assert deploy(tmp_path / "b", lives.empty(tmp_path / "other")).plan == plan


def test_plans_are_read_from_a_file_and_belong_to_a_deployment(tmp_path):
    (tmp_path / "plan.yaml").write_text("harm: {false_alarms_a_year: 2}\nends: 2030-01-01\n")
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), plan=tmp_path / "plan.yaml")
    assert deployment.plan == Plan(harm=Harm(false_alarms_a_year=2), ends="2030-01-01")
    with pytest.raises(DeploymentError, match="expected the plan that this deployment has, found another one"):
        deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment, plan=Plan())
    (tmp_path / "plan.yaml").write_text("harm: {windows: 3}\n")
    with pytest.raises(SpecError, match=r"plan.yaml:1 harm.windows: .*Did you mean 'window'"):
        deploy(tmp_path / "a", lives.empty(tmp_path / "third"), plan=tmp_path / "plan.yaml")
    with pytest.raises(DeploymentError, match="expected the file of a plan, found nothing there"):
        deploy(tmp_path / "a", lives.empty(tmp_path / "third"), plan=tmp_path / "no.yaml")


def test_after_its_end_nothing_is_deployed(tmp_path):
    with pytest.raises(DeploymentError, match="it must not answer any more since 2020-01-01"):
        deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), plan=Plan(ends="2020-01-01"))


def test_a_damaged_life_is_refused(tmp_path):
    lives.artifact(tmp_path / "a", changed={"life.json": json.dumps({"reference": {"loss": 1}}).encode()})
    with pytest.raises(ArtifactError, match=r"life.json: expected a reference and a plan, found KeyError"):
        deploy(tmp_path / "a", lives.empty(tmp_path / "shop"))


def test_where_the_champion_was_taken_away_the_next_one_answers_at_once(tmp_path):
    from thuja.life.states import Gate

    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"))
    deployment.step("1", "QUARANTINED", {"cause": Gate(True, "poisoned")})
    deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment)
    assert deployment.standings().champion == "2" and Artifact.open(deployment.place("2"), toys.KINDS).life
