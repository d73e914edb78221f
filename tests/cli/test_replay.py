"""`thuja replay` and `thuja demo life` on the command line."""

import csv
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from shell import thuja

from thuja.cli.demo_life import ENDS, STUCK, Show, celsius, lived, stuck, weather
from thuja.cli.replay import duration
from thuja.core.errors import DeploymentError, SpecError
from thuja.life.deployment import Deployment
from thuja.verbs.replay import DAY, Asked, moment


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))


def test_a_history_is_replayed_and_told(tmp_path):
    rows = weather()
    with (tmp_path / "weather.csv").open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(rows)
        write.writerows(list(zip(*rows.values(), strict=True))[:900])
    (tmp_path / "thuja.yaml").write_text("""
task: {kind: table, target: rain, problem: binary, categories: [], model: {kind: tabular, members: 1, width: 16, embedding: 4, bins: 8},
  numbers: [temperature, dew_point, pressure, visibility, wind, wind_most, warmest, coldest]}
data: {path: weather.csv, split: {kind: order}}
train: {steps: 20, threads: 1}
evaluate: {baseline: false, resamples: 50}
life: {harm: {window: 2592000}, alone: [retrain, shadow, canary]}
""")
    calm = [option for name in ("alarm", "forecast") for option in ("--set", f"life.renew.on_{name}=false")]
    said = thuja("replay", tmp_path / "thuja.yaml", "--out", tmp_path / "out", "--delay", "7d", "--cuts", "0", "--to", "1999-10-01", *calm)
    assert said.code == 0, said.err
    assert "version 1: CANARY -> CHAMPION" in said.out and "rows answered, mean loss" in said.out and "thuja timeline" in said.out
    assert Deployment.open(tmp_path / "out").standings().champion == "1"
    again = thuja("replay", tmp_path / "thuja.yaml", "--out", tmp_path / "out")
    assert again.code != 0 and "Name another folder with --out" in again.err
    assert "expected 0, or at least 3" in thuja("replay", tmp_path / "thuja.yaml", "--cuts", "2").err


@pytest.mark.parametrize("text", ["soon", "", "-3d", "nan", "inf"])
def test_spans_of_time_that_are_none_are_refused(text):
    with pytest.raises(SpecError, match="Write 90s, 6h, 7d or 2w"):
        duration(text)


def test_the_weather_is_shipped_with_its_notice_and_is_all_there():
    with zipfile.ZipFile(Path(str(files("thuja"))) / "demo" / "weather.zip") as archive:
        assert b"public domain" in archive.read("NOTICE")
    rows = weather()
    assert {len(values) for values in rows.values()} == {18_159} and set(rows["rain"]) == {"rain", "dry"}
    assert rows["temperature"][:2] == [19.8, 26.8] and rows["rain"].count("rain") == 5698


def test_the_plants_are_data_and_nothing_else():
    rows, asked = weather(), Asked(end=moment(ENDS), pace=DAY)
    planted = stuck(rows, asked)
    changed = [place for place, (a, b) in enumerate(zip(rows["pressure"], planted["pressure"], strict=True)) if a != b]
    first = len(rows["rain"]) - round((moment(ENDS) - moment(STUCK[0])) / DAY)
    assert 350 < len(changed) < 366 and first < changed[0] < first + 5 and len(set(planted["pressure"][first : first + 366])) == 1
    assert all(rows[name] == planted[name] for name in rows if name != "pressure")
    wrong = celsius({"temperature": [32.0, 212.0], "wind": [5.0, 6.0], "rain": ["dry", "rain"]})
    assert wrong == {"temperature": [0.0, 100.0], "wind": [5.0, 6.0], "rain": ["dry", "rain"]}


def test_a_year_of_the_demo(tmp_path):
    """The shortened form: the first model, without the ageing test's models, and its first year."""
    found = lived(tmp_path / "demo", Show(ends="1971-01-05", cuts=0, steps=30))
    assert found.deployment.standings().champion and 360 <= found.rows <= 370 and found.loss < 0.4
    assert [event.kind for event in found.events()].count("look") == 4
    with pytest.raises(DeploymentError, match="--folder"):
        lived(tmp_path / "demo", Show())


@pytest.mark.slow
def test_the_whole_demo(tmp_path):
    """Decades: an alarm is met by a better model, a stuck sensor is a fault and no drift, and a model with wrong units never becomes champion."""
    said = thuja("demo", "life", "--folder", tmp_path / "demo")
    assert said.code == 0, said.err
    deployment = Deployment.open(tmp_path / "demo" / "weather")
    events = deployment.ledger.events()
    at = {kind: [event for event in events if event.kind == kind] for kind in ("alarm", "fault", "frozen", "thawed", "version", "moved")}
    planted = [event for event in at["version"] if event.by == "somebody"]
    assert len(planted) == 1 and planted[0].at >= moment("1990-01-01")
    steps = [event.body["to"] for event in at["moved"] if event.version == planted[0].version]
    assert "CANARY" in steps and steps[-1] == "ROLLED_BACK" and "CHAMPION" not in steps
    stuck_faults = [event for event in at["fault"] if any(one["rule"] == "stuck" and one["field"] == "pressure" for one in event.body["faults"])]
    assert stuck_faults and all(moment("1980-02-01") <= event.at <= moment("1981-05-01") for event in stuck_faults)
    assert len(at["frozen"]) == len(at["thawed"]) == 1 and at["thawed"][0].at > moment(STUCK[1])
    assert not any(moment("1980-05-01") <= event.at <= moment(STUCK[1]) for event in at["alarm"] + at["version"])
    trained = [event for event in at["version"] if event.by == "policy"]
    assert trained and at["alarm"] and any(event.body["to"] == "CHAMPION" and event.version == trained[0].version for event in at["moved"])
    assert "In short" in said.out and "learning is frozen: pressure" in said.out
