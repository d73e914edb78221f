"""Parallel texts: line i of `train.en` and line i of `train.de` say the same. A folder of such files, with or without .gz, becomes a column a language."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import arrow, cache, delimited
from thuja.data.arrow import ArrowSource
from thuja.data.folder import PARTS
from thuja.data.rows import Bad, Kind
from thuja.data.table import VERSION, converted
from thuja.settings import Data

LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
"""The ending of a file's name: de, deu, pt-BR, zh_Hans."""
Group = dict[str, Path]
"""The files of one text, by language."""


def groups(folder: Path) -> dict[str, Group]:
    """The texts of a folder that are there in two languages or more, by the name without the language, both in order: {"train": {"de": ..., "en": ...}}."""
    found: dict[str, Group] = defaultdict(dict)
    for file in sorted(folder.iterdir()):
        stem, _, language = file.name.removesuffix(".gz").rpartition(".")
        if stem and not stem.startswith(".") and LANGUAGE.fullmatch(language) and file.is_file():
            found[stem][language] = file
    return {stem: group for stem, group in found.items() if len(group) > 1}


def part_of(stem: str) -> str:
    """The part that a name says, or nothing.

    >>> part_of("train.lc.tok"), part_of("test_2016_flickr"), part_of("val"), part_of("news")
    ('train', 'test', 'validation', '')
    """
    return PARTS.get(re.split(r"[._-]", stem.lower())[0], "")


def is_parallel(folder: Path) -> bool:
    """Whether a folder holds training texts in several languages, or one text of any name."""
    found = groups(folder)
    return len(found) == 1 or any(part_of(stem) == "train" for stem in found)


def open_parallel(folder: Path, data: Data) -> dict[str, ArrowSource]:
    """The parts of a folder of parallel texts. Of several for one part (`test_2016`, `test_2017`), the one of the shortest name, then the first, is taken:
    name another in `data.validation` or `data.test`.

    Raises: DataError for unpaired lines, another encoding, or no text of several languages.
    """
    found = groups(folder)
    if not found:
        raise DataError(str(folder), expected="texts of equal lines, such as train.en and train.de", found="none", fix="Check data.path and the files' names.")
    given: dict[str, str] = {}
    for stem in sorted(found, key=lambda stem: (len(stem), stem)):
        given.setdefault(part_of(stem), stem)
    if "train" not in given:
        return {"all": _open(min(found), found[min(found)], data)}
    return {part: _open(given[part], found[given[part]], data) for part in ("train", "validation", "test") if part in given}


def siblings(file: Path) -> Group:
    """The files that one file is a translation of, itself included; none where it is no parallel text."""
    stem = file.name.removesuffix(".gz").rpartition(".")[0]
    return groups(file.parent).get(stem, {})


def open_file(file: Path, data: Data) -> ArrowSource:
    """One parallel text, named by any of its files."""
    return _open(file.name.removesuffix(".gz").rpartition(".")[0], siblings(file), data)


def _open(stem: str, group: Group, data: Data) -> ArrowSource:
    hashes = [[language, cache.file_digest(file)] for language, file in group.items()]
    content = digest.of_data([VERSION, "parallel", data.encoding, hashes])
    about, batches = converted(content, lambda folder: _convert(group, data.encoding, folder))
    kinds: dict[str, Kind] = about["kinds"]
    source = ArrowSource(batches, kinds, stem, content)
    if not len(source):
        raise DataError(str(next(iter(group.values()))), expected="at least one line", found="none", fix="Check that the right file was given.")
    return source


def _convert(group: Group, encoding: str, folder: Path) -> tuple[dict[str, Kind], list[Bad]]:
    """Write `rows.arrow`, a batch of lines at a time."""
    import pyarrow as pa

    schema = pa.schema([(language, pa.large_string()) for language in group])
    with ExitStack() as stack, pa.OSFile(str(folder / "rows.arrow"), "wb") as out, pa.ipc.new_file(out, schema) as writer:
        pairs = itertools.zip_longest(*(_lines(stack, file, encoding) for file in group.values()))
        while rows := list(itertools.islice(pairs, arrow.BATCH)):
            columns = list(zip(*rows, strict=True))
            if any(None in column for column in columns):
                raise _unpaired(group, encoding)
            writer.write_batch(pa.record_batch([pa.array(column, pa.large_string()) for column in columns], schema=schema))
    return dict.fromkeys(group, "text"), []


def _lines(stack: ExitStack, file: Path, encoding: str) -> Iterator[str]:
    """The lines of a file, which end with \\n alone, as in the tools that pair them; other breaks are part of a text."""
    text = stack.enter_context(delimited.text_file(file, encoding))
    text.reconfigure(newline="\n")  # type: ignore[attr-defined]  # it is an io.TextIOWrapper
    return (line.removesuffix("\n").removesuffix("\r") for line in delimited.text_lines(text, file, encoding))


def _unpaired(group: Group, encoding: str) -> DataError:
    with ExitStack() as stack:
        counts = [(file.name, sum(1 for _ in _lines(stack, file, encoding))) for file in group.values()]
    return DataError(str(next(iter(group.values())).parent), expected="as many lines in each language", found=" and ".join(f"{n:,} in {f}" for f, n in counts),
                     fix="A line was lost or broken in two: take both files from one source again.")
