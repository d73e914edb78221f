"""What `thuja init` makes of prose and of conversations."""

import json
from pathlib import Path

from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.settings import Data


def guess(path: Path):
    return infer(open_source(Data(path=str(path))))


def test_a_short_text_is_read_by_characters_and_split_by_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("To be, or not to be.\nThat it is.\n" * 50)
    found = guess(tmp_path / "a.txt")
    assert found.task == {"kind": "language-model", "text": "text", "rows": "passages", "vocabulary": "characters", "vocabulary_size": 19, "context": 256}
    assert found.data == {"format": "text", "split": {"kind": "order", "validation": 0.05, "test": 0.1}}
    assert found.notes[0] == "A text of 1,650 bytes in 1 file."


def test_many_different_characters_want_pairs_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(map(chr, range(0x4E00, 0x4E00 + 900))))
    assert guess(tmp_path / "a.txt").task["vocabulary"] == "byte-pairs"


def test_a_column_of_messages_is_conversations(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": f"hello {i}"}, {"role": "assistant", "content": "hi"}]} for i in range(5)]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = guess(tmp_path / "talk.jsonl")
    assert found.task["rows"] == "messages"
    source = open_source(Data(path=str(tmp_path / "talk.jsonl")))["all"]
    assert json.loads(next(iter(source.batches()))["messages"][3]) == rows[3]["messages"]
    assert source.bad == ()
