"""What a person is told of a run whose files a bad disk, or a hand, has changed."""

from pathlib import Path

import pytest
from shell import thuja

from thuja.run import Run


def begun(root: Path) -> Run:
    run = Run.create(root)
    run.write_spec("thuja: 1\ntask:\n  kind: table\n")
    run.log({"event": "begin", "step": 0})
    run.log({"event": "step", "step": 5})
    return run


def test_a_torn_log_is_told_and_a_damaged_run_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torn, edited = begun(Path("runs")), begun(Path("runs"))
    size = (torn.path / "log.jsonl").stat().st_size
    (torn.path / "log.jsonl").write_bytes((torn.path / "log.jsonl").read_bytes()[:-3])
    (edited.path / "spec.yaml").write_text((edited.path / "spec.yaml").read_text().replace("table", "tabel"))
    said = thuja("runs")
    lost = size - 3 - len((torn.path / "log.jsonl").read_bytes().split(b"\n")[0]) - 1
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()[1:]] == ["0001"]
    assert said.err.splitlines() == [
        f"runs/0001: the last {lost} bytes of its log are half written or damaged, and left out",
        "runs/0002/spec.yaml: expected the bytes that were written, found damaged or edited ones. Restore the file from a copy, or train again."]
