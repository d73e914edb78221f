"""Plain lines: tables, and progress where nobody can see a line rewritten."""

import pytest

from thuja.cli.terminal import Live, table


def test_without_a_terminal_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]):
    live = Live(seconds=10.0)
    for second in range(25):
        live.show(f"at {second}", float(second), last=second == 24)
    assert capsys.readouterr() == ("", "at 0\nat 10\nat 20\nat 24\n")


def test_numbers_of_a_table_stand_to_the_right(capsys: pytest.CaptureFixture[str]):
    table([("a", "1", "x"), ("bb", "12", "")], ("name", "count", "note"))
    assert capsys.readouterr() == ("name  count  note\na         1  x\nbb       12\n", "")
