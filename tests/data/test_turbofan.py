"""Engines run to failure."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.source import open_source
from thuja.settings import Data


def lines(lengths):
    return "".join(f"{unit} {cycle} {' '.join(str(unit * 100 + cycle + i / 10) for i in range(24))}  \n"
                   for unit, count in enumerate(lengths, 1) for cycle in range(1, count + 1))


def engines(folder, header="", left="5\n7\n"):
    (folder / "train_FD009.txt").write_text(header + lines([3, 4]))
    (folder / "test_FD009.txt").write_text(header + lines([2, 2]))
    (folder / "RUL_FD009.txt").write_text(("RUL\n" if header else "") + left)
    return Data(path=str(folder))


@pytest.mark.parametrize("header", ["", "unit_number time " + " ".join(f"s{i}" for i in range(29)) + "\n"])
def test_cycles_that_are_left(tmp_path, header):
    parts = open_source(engines(tmp_path, header))
    train, test = (part.take(np.arange(len(part))) for part in (parts["train"], parts["test"]))
    assert train["unit"] == ["train 1"] * 3 + ["train 2"] * 4
    assert train["remaining"] == [2, 1, 0, 3, 2, 1, 0]
    assert (test["unit"], test["remaining"]) == (["test 1"] * 2 + ["test 2"] * 2, [6, 5, 8, 7])
    assert parts["train"].names[:6] == ("unit", "cycle", "setting_1", "setting_2", "setting_3", "sensor_1")
    assert train["sensor_21"][0] == 103.3
    assert len(parts["train"].names) == 27


def test_files_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="expected 2 engines in the RUL file, found 1"):
        open_source(engines(tmp_path, left="5\n"))
    (tmp_path / "RUL_FD009.txt").unlink()
    with pytest.raises(DataError, match="expected the cycles left of the test engines, found no RUL file"):
        open_source(Data(path=str(tmp_path)))
    (tmp_path / "test_FD009.txt").unlink()
    assert list(open_source(Data(path=str(tmp_path)))) == ["train"]
    (tmp_path / "train_FD009.txt").write_text("1 2 3\n1 x 3\n")
    with pytest.raises(DataError, match="expected lines of numbers, equally many on each, found could not convert string to float: 'x'"):
        open_source(Data(path=str(tmp_path)))
    (tmp_path / "train_FD009.txt").write_text("1 2 3\n")
    with pytest.raises(DataError, match="expected 26 columns, found 3"):
        open_source(Data(path=str(tmp_path)))


def test_real_engines(real):
    parts = open_source(Data(path=str(real("cmapss_fd001"))))
    assert {name: (len(part), len(set(part.take(np.arange(len(part)), ("unit",))["unit"]))) for name, part in parts.items()} == {
        "train": (20631, 100), "test": (13096, 100)}
