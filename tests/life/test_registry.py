"""MLflow shows what the ledger says: once or ten times, after deletion as before, and its absence stops nothing."""

import logging
import shutil
import sqlite3
import sys
from importlib.util import find_spec

import pytest
from life.test_deployment import DAY, OPEN, champion, deployment, live, through  # noqa: F401  the fixture

from thuja.core.errors import DeploymentError, MissingExtra, StorageError
from thuja.life import registry
from thuja.life.registry import Mirror, figures, project, tags
from thuja.life.states import GATES, Gate, Version

needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: pip install 'thuja[mlflow]'")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A database with MLflow's tables and nothing in them: to make them takes longer than all else here."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    if find_spec("mlflow") is not None:
        client(f"sqlite:///{path}").search_registered_models()
    return path


@pytest.fixture
def uri(tmp_path, tables):
    if tables.exists():
        shutil.copy(tables, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def client(uri):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def shown(uri):
    """All that a person sees there, but for ids and the times at which MLflow wrote."""
    mlflow = client(uri)
    model = mlflow.get_registered_model("shop")
    versions = {v.tags["thuja.version"]: v for v in mlflow.search_model_versions("name = 'shop'")}
    runs = {name: mlflow.get_run(version.run_id) for name, version in versions.items()}
    curve = {name: [(m.step, m.timestamp, m.value) for m in mlflow.get_metric_history(run.info.run_id, "loss")] for name, run in runs.items()}
    aliases = {alias: model_version.tags["thuja.version"] for alias in model.aliases for model_version in [mlflow.get_model_version_by_alias("shop", alias)]}
    return {name: version.tags for name, version in versions.items()}, aliases, curve, {name: (run.info.status, run.info.start_time)
                                                                                       for name, run in runs.items()}


def whole_life(deployment):  # noqa: F811
    """Two versions, 12 looks, a handover: 1 steps down, 2 answers."""
    champion(deployment)
    live(deployment, 8)
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    deployment.hand_over("2", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    live(deployment, 4, first=8)


@needs_mlflow
def test_a_whole_life_is_shown_and_a_second_time_changes_nothing(deployment, uri):  # noqa: F811
    champion(deployment)
    live(deployment, 3)
    first = project(deployment, uri)
    assert first.aliases == {"champion": "1"} and first.versions == {"1": "1", "2": "2"} and first.changes > 0
    whole_look = [event for event in deployment.ledger.events() if event.kind == "look"]
    live(deployment, 5, first=3)
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    assert project(deployment, uri).aliases == {"champion": "1", "challenger": "2"}
    through(deployment, "2", "CANARY")
    deployment.hand_over("2", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    live(deployment, 4, first=8)
    assert project(deployment, uri).aliases == {"champion": "2", "previous": "1"}
    before = shown(uri)
    assert project(deployment, uri).changes == 0 and shown(uri) == before
    versions, aliases, curve, runs = before
    assert {name: found["thuja.standing"] for name, found in versions.items()} == {"1": "RETIRING", "2": "CHAMPION"}
    assert versions["1"]["thuja.digest"] == deployment.standings().of("1").digest and aliases == {"champion": "2", "previous": "1"}
    looks = [event for event in deployment.ledger.events() if event.kind == "look"]
    said = {name: [(e.number, round(e.at * 1000), e.body["loss"]) for e in looks if e.version == name and e.body["loss"] is not None] for name in ("1", "2")}
    assert {name: sorted(points) for name, points in curve.items()} == said and len(said["1"]) == 6 and len(whole_look) == 3
    assert set(runs.values()) == {("RUNNING", round(deployment.standings().of("1").born * 1000))}


@needs_mlflow
def test_deleted_and_made_again_it_is_the_same(deployment, uri, tmp_path, tables):  # noqa: F811
    whole_life(deployment)
    project(deployment, uri)
    before = shown(uri)
    shutil.copy(tables, tmp_path / "other.db")
    project(deployment, f"sqlite:///{tmp_path}/other.db")
    assert shown(f"sqlite:///{tmp_path}/other.db") == before
    mlflow = client(uri)
    mlflow.delete_registered_model("shop")
    assert project(deployment, uri).changes > 0
    versions, aliases, _, _ = shown(uri)
    assert (versions, aliases) == before[:2]
    assert project(deployment, uri).changes == 0


@needs_mlflow
def test_what_others_changed_there_is_mended_and_what_is_theirs_left_alone(deployment, uri):  # noqa: F811
    whole_life(deployment)
    project(deployment, uri)
    before, mlflow = shown(uri), client(uri)
    mlflow.set_registered_model_alias("shop", "champion", "1")
    mlflow.set_registered_model_alias("shop", "challenger", "1")
    mlflow.set_registered_model_alias("shop", "mine", "1")
    mlflow.set_model_version_tag("shop", "2", "thuja.standing", "DRAFT")
    mlflow.set_model_version_tag("shop", "2", "seen by", "ada")
    assert project(deployment, uri).changes == 3
    versions, aliases, curve, _ = shown(uri)
    assert aliases.pop("mine") == "1" and versions["2"].pop("seen by") == "ada" and (versions, aliases, curve) == before[:3]


@needs_mlflow
def test_a_retired_version_is_over_and_a_deleted_one_comes_back(deployment, uri):  # noqa: F811
    champion(deployment)
    project(deployment, uri)
    client(uri).delete_model_version("shop", "2")
    deployment.step("2", "QUARANTINED", {"cause": Gate(True, "poisoned")})
    assert project(deployment, uri).versions == {"1": "1", "2": "3"}
    versions, _, _, runs = shown(uri)
    assert versions["2"]["thuja.standing"] == "QUARANTINED" and runs["2"][0] == "FINISHED" and runs["1"][0] == "RUNNING"
    assert project(deployment, uri).changes == 0


@needs_mlflow
def test_the_model_of_another_deployment_is_not_overwritten(deployment, uri):  # noqa: F811
    champion(deployment)
    client(uri).create_registered_model("shop")
    with pytest.raises(DeploymentError, match="found another's"):
        project(deployment, uri)


@needs_mlflow
@pytest.mark.parametrize("trouble", ["locked", "no folder", "no database", "nobody there"])
def test_trouble_with_mlflow_is_one_warning_and_no_more(deployment, uri, tmp_path, caplog, trouble, monkeypatch):  # noqa: F811
    champion(deployment)
    monkeypatch.setattr(registry, "PATIENCE", 0.05)
    (tmp_path / "mlflow.db").rename(tmp_path / "held.db")
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    (tmp_path / "text.db").write_text("a poem " * 100)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mirror = Mirror(deployment, {"locked": f"sqlite:///{tmp_path}/held.db", "no folder": f"sqlite:///{tmp_path}/nowhere/mlflow.db",
                                 "no database": f"sqlite:///{tmp_path}/text.db", "nobody there": "http://127.0.0.1:9"}[trouble])
    before = deployment.ledger.events()
    with caplog.at_level(logging.WARNING, logger="thuja.life.registry"):
        assert mirror.refresh() is None and mirror.refresh() is None
    assert len(caplog.records) == 1 and "shop" in caplog.text and deployment.ledger.events() == before
    holder.execute("ROLLBACK")
    holder.close()
    if trouble == "locked":
        again = mirror.refresh()
        assert again is not None and again.aliases == {"champion": "1"}


def test_without_mlflow_one_is_told_what_to_type(deployment, uri, monkeypatch):  # noqa: F811
    champion(deployment)
    for name in [name for name in sys.modules if name == "mlflow" or name.startswith("mlflow.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'thuja\[mlflow\]'"):
        project(deployment, uri)
    assert Mirror(deployment, uri).refresh() is None


def test_a_plan_that_names_no_registry_has_none(deployment):  # noqa: F811
    assert Mirror(deployment, "").refresh() is None


def test_a_folder_that_is_not_there_is_told_of_before_mlflow_is_loaded(deployment, tmp_path):  # noqa: F811
    champion(deployment)
    with pytest.raises(StorageError, match="no folder"):
        project(deployment, f"sqlite:///{tmp_path}/nowhere/mlflow.db")


def test_what_is_shown_is_plain():
    version = Version("1", "abc", "CHAMPION", 2.0, 1.0, {"trained": 1.0, "parent": "", "why": "drift", "gates": {"a": 1}, "digest": "abc"})
    assert tags(version) == {"thuja.standing": "CHAMPION", "thuja.digest": "abc", "thuja.trained": "1.0", "thuja.why": "drift"}
    look = {"loss": None, "labels": 0, "requests": 12, "statistic": 1.5, "estimated": None, "forecast": {"quantiles": [1.0, None, None]}}
    assert figures(look) == {"labels": 0.0, "requests": 12.0, "alarm_statistic": 1.5}
    assert figures(look | {"loss": 0.25, "forecast": {"quantiles": [1.0, 5.0, None]}})["windows_left_median"] == 5.0
