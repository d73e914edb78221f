"""Bad data and bad specs, each as a person meets it on the command line: the whole message, the exit code, and nothing left behind."""

import errno
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from shell import Said, thuja, write_pictures, write_table, write_texts

from thuja.core.storage import Disk

TABLE = "task: {kind: table, target: bought}\ndata: {path: DATA}\ntrain: {steps: 2, watch: false}\n"
PICTURES = "task: {kind: image-classification}\ndata: {path: DATA}\ntrain: {steps: 2, watch: false}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))


def run(verb: str, spec: str, data: str = "people.csv", *options: str) -> Said:
    Path("thuja.yaml").write_text(spec.replace("DATA", data), "utf-8")
    return thuja(verb, *options, hide=Path.cwd())


def refused(said: Said, code: int, message: str) -> None:
    assert said == (code, "", message + "\n")
    assert not Path("runs").exists(), "nothing is written when the input is refused"


def table_with(*rows: str, instead: bool = False, name: str = "people.csv", encoding: str = "utf-8") -> None:
    """The usual table and these rows after it (or only these)."""
    text = write_table(Path(name)).read_text("utf-8")
    Path(name).write_text((text.partition("\n")[0] + "\n" if instead else text) + "".join(f"{row}\n" for row in rows), encoding)


def pictures_with(data: bytes, name: str) -> None:
    (write_pictures(Path("shades")) / "dark" / name).write_bytes(data)


def encoded(picture: Pillow.Image, format: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, format)
    return file.getvalue()


def test_misspelt_key():
    table_with()
    refused(run("train", TABLE.replace("steps:", "stepz:")), 2, "thuja.yaml:3 train.stepz: expected a known key, found 'stepz'. Did you mean 'steps'?")


def test_misspelt_key_on_the_command_line():
    table_with()
    refused(run("train", TABLE, "people.csv", "--set", "train.stepz=3"), 2,
            "--set train.stepz: expected a known key, found 'stepz'. Did you mean 'steps'?")


def test_wrong_type():
    table_with()
    refused(run("train", TABLE.replace("steps: 2", "steps: lots")), 2,
            "thuja.yaml:3 train.steps: expected auto or a whole number, found 'lots'. Change this value.")


def test_missing_file():
    table_with()
    refused(run("train", TABLE, "peeple.csv"), 3,
            "data.path: expected a folder or a file, found nothing at peeple.csv. In that folder: people.csv, thuja.yaml.")


def test_missing_spec():
    refused(thuja("train"), 2, "thuja.yaml: expected a spec file, found nothing there. Write one with `thuja init DATA`.")


def test_empty_folder():
    Path("nothing").mkdir()
    refused(run("train", PICTURES, "nothing"), 3, "nothing: expected data, found an empty folder. Check data.path, or put the data there.")


def test_folder_without_pictures():
    Path("shades/dark").mkdir(parents=True)
    refused(run("train", PICTURES, "shades"), 3,
            "shades: expected a folder of pictures for each class, such as cat/1.jpg and dog/2.jpg, found 'dark' and no picture. "
            "Move the pictures into one folder per class, or give a table with a column of file names (data.files).")


def test_one_class_in_a_table():
    table_with(*(f"{age},Bonn,yes" for age in range(20, 60)), instead=True)
    refused(run("train", TABLE), 3, "bought: expected at least two different values, found only 'yes'. A target with one value cannot be learned: "
                                    "give rows with others.")


def test_one_class_in_a_folder():
    shutil.rmtree(write_pictures(Path("shades")) / "light")
    refused(run("train", PICTURES, "shades"), 3, "shades: expected at least two class folders with pictures, found one, 'dark'. "
                                                 "Add pictures of what it is to be told apart from, in a folder of their own.")


def test_a_class_with_one_row_that_trains():
    table_with("30.25,Lima,maybe")
    said = run("check", TABLE)
    assert said == (0, """\
121 rows: 82 train, 14 validation, 25 test

warn: absent-class (1 row)
  1 of 3 (33 %) classes have no validation row: 'maybe'.
  Give more rows of them: nothing is known of how well they are told apart.

warn: absent-class (1 row)
  1 of 3 (33 %) classes have no test row: 'maybe'.
  Give more rows of them: nothing is known of how well they are told apart.

warn: rare-class (1 row)
  1 of 3 (33 %) classes have one training row: 'maybe'.
  Give more rows, or join classes.

Nothing stands in the way of training.
""", "")


def test_a_class_with_one_row_that_does_not_train():
    table_with("30.5,Bonn,maybe")
    refused(run("train", TABLE), 3,
            "data.bad_rows: expected at most 1.0% of 26 rows unusable, found 1 so far: people.csv:122 (expected a known class, found 'maybe'). "
            "Repair or remove these rows, or raise data.bad_rows.")


def test_target_absent():
    table_with()
    refused(run("train", TABLE.replace("bought", "bougt")), 3, "bougt: expected a column of this name, found 3 others. Did you mean 'bought'?")


def test_target_absent_when_asked_for_by_init():
    table_with()
    said = thuja("init", "people.csv", "--target", "bougt")
    refused(said, 3, "target: expected the name of a column, found 'bougt'. Did you mean 'bought'?")
    assert not Path("thuja.yaml").exists()


def test_all_missing_column():
    lines = write_table(Path("people.csv")).read_text("utf-8").splitlines()
    Path("people.csv").write_text("\n".join(f"{line},{'' if i else 'income'}" for i, line in enumerate(lines)) + "\n", "utf-8")
    said = run("check", TABLE)
    assert said == (0, """\
120 rows: 83 train, 8 validation, 29 test

warn: missing-column (83 rows)
  'income' is missing in all 83 training rows.
  Leave 'income' out, or fill it.

Nothing stands in the way of training.
""", "")


def test_all_missing_target():
    table_with(*(f"{age},Bonn," for age in range(20, 60)), instead=True)
    refused(run("train", TABLE), 3, "bought: expected at least two different values, found none. A target with one value cannot be learned: "
                                    "give rows with others.")


def test_nan_is_missing_and_no_more():
    table_with("NaN,Lima,no", "nan,Oslo,yes")
    assert run("train", TABLE).code == 0


@pytest.mark.parametrize(("infinity", "part"), [("inf", 16), ("-inf", 83)])
def test_infinity(infinity: str, part: int):
    table_with(*(f"{infinity},Bonn,{answer}" for answer in ("yes", "no")))
    refused(run("train", TABLE), 3,
            f"data.bad_rows: expected at most 1.0% of {part} rows unusable, found 2 so far: people.csv:122 (expected a finite number, found {infinity}); "
            f"people.csv:123 (expected a finite number, found {infinity}). Repair or remove these rows, or raise data.bad_rows.")


def test_cell_of_100_kb_is_taken_and_a_longer_one_is_not():
    table_with("30,{},no".format("x" * 100_000))
    assert run("check", TABLE).code == 0
    table_with("30,{},no".format("x" * 200_000))
    refused(run("train", TABLE), 3, "people.csv:122: expected cells of at most 131,072 characters, found a problem: field larger than field limit (131072). "
                                    "Shorten the cell, or look for a quotation mark that is never closed.")


def test_wrong_encoding():
    table_with("30,Köln,no", encoding="latin-1")
    refused(run("train", TABLE), 3, "people.csv:122: expected text in utf-8, found byte 0xf6 at 1777. Set data.encoding, for example to latin-1 or cp1252, "
                                    "or save the file as UTF-8.")


def test_wrong_encoding_of_a_spec():
    Path("thuja.yaml").write_text(f"{TABLE}# Köln\n", "latin-1")
    refused(thuja("train"), 2, "thuja.yaml, byte 90: expected UTF-8 text, found another encoding. Save the file as UTF-8.")


def test_truncated_jpeg():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    pictures_with(encoded(Pillow.fromarray(pixels), "JPEG")[:900], "bad.jpg")
    refused(run("train", PICTURES, "shades"), 3, 
            "data.bad_rows: expected at most 1.0% of 29 rows unusable, found 1 so far: "
            "dark/bad.jpg (expected a whole picture, found a truncated or damaged file). "
            "Repair or remove these rows, or raise data.bad_rows.")


def test_decompression_bomb():
    pictures_with(encoded(Pillow.new("1", (14_000, 14_000)), "PNG"), "bad.png")
    refused(run("train", PICTURES, "shades"), 3, 
            "data.bad_rows: expected at most 1.0% of 29 rows unusable, found 1 so far: "
            "dark/bad.png (expected at most 50000000 pixels, found a decompression bomb). "
            "Repair or remove these rows, or raise data.bad_rows.")


def test_huge_dimensions():
    pictures_with(encoded(Pillow.new("1", (8_000, 8_000)), "PNG"), "bad.png")
    refused(run("train", PICTURES, "shades"), 3, 
            "data.bad_rows: expected at most 1.0% of 29 rows unusable, found 1 so far: "
            "dark/bad.png (expected at most 50000000 pixels, found 8000 x 8000). "
            "Repair or remove these rows, or raise data.bad_rows.")


def test_text_under_the_name_of_an_image():
    pictures_with(b"hello, this is text", "bad.jpg")
    refused(run("train", PICTURES, "shades"), 3,
            "data.bad_rows: expected at most 1.0% of 29 rows unusable, found 1 so far: "
            "dark/bad.jpg (expected a picture, found text 'hello, this is text'). "
            "Repair or remove these rows, or raise data.bad_rows.")


def test_text_where_an_image_is_expected():
    write_texts(Path("films.csv"))
    refused(run("train", PICTURES.replace("classification}", "classification, image: sentence, target: label}"), "films.csv"), 3,
            "sentence: expected pictures, found none that can be read (expected a picture, found text 'The broken film number 119 was broken an'). "
            "If these are paths of files, add 'sentence' to data.files; else choose another task.")


def test_image_where_text_is_expected():
    write_pictures(Path("shades"), each=60)
    text = "sentence,label\n" + "".join(f"shades/{label}/{i}.png,{label}\n" for label in ("dark", "light") for i in range(60))
    Path("films.csv").write_text(text, "utf-8")
    spec = "task: {kind: text-classification, text: sentence, target: label}\ndata: {path: films.csv, files: [sentence]}\n"
    refused(run("train", spec), 3, "sentence: expected texts with words, found files. Name the column of texts in task.text.")


def test_image_where_a_table_is_expected():
    write_pictures(Path("shades"))
    refused(thuja("init", "shades/dark/0.png", hide=Path.cwd()), 3,
            "~/shades/dark/0.png: expected a CSV, JSONL or Parquet file, or a folder, found a file of type .png. "
            "Set data.format if it is one of these under another name.")


def test_disk_full_while_saving(monkeypatch: pytest.MonkeyPatch):
    table_with()
    extend = Disk.extend

    def fill(self: Disk, path: Path, data: bytes | memoryview) -> None:
        if "checkpoints" in path.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        extend(self, path, data)

    monkeypatch.setattr(Disk, "extend", fill)
    said = run("train", TABLE)
    assert (said.code, said.out) == (7, "")
    assert said.err.splitlines()[-1] == ("runs/0001/checkpoints/00000001: expected a writable place, found no space left. "
                                         "Free some space or choose another folder; what was saved before is intact.")
