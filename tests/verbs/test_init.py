"""`thuja init` with an application named: the columns found are kept, and what makes no sense is refused in words."""

import pytest
from shell import write_pictures, write_table

from thuja.core.errors import SpecError
from thuja.spec import read
from thuja.verbs.init import init


def test_pictures_in_classes_may_be_made_instead(tmp_path):
    write_pictures(tmp_path / "pictures")
    path, notes = init(tmp_path / "pictures", kind="image-generation", out=tmp_path / "made.yaml")
    assert read(path).task.kind == "image-generation" and read(path).task.image == "image"
    assert notes[-1] == "Taken for image-generation, as you said; by itself Thuja would have said image-classification."
    same, notes = init(tmp_path / "pictures", kind="image-classification", out=tmp_path / "told.yaml")
    assert read(same).task.kind == "image-classification" and not any("Taken for" in note for note in notes)


def test_an_application_that_is_none_or_does_not_fit_is_refused(tmp_path):
    write_table(tmp_path / "rows.csv")
    with pytest.raises(SpecError, match=r"--kind: expected a known kind of task, found 'tables'. Did you mean 'table'"):
        init(tmp_path / "rows.csv", kind="tables", out=tmp_path / "a.yaml")
    with pytest.raises(SpecError, match=r"--kind: expected an application that learns a column such as .*, found 'language-model'"):
        init(tmp_path / "rows.csv", kind="language-model", out=tmp_path / "b.yaml")
    assert not (tmp_path / "a.yaml").exists() and not (tmp_path / "b.yaml").exists()
