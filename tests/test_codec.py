"""Ragged columns, and a codec's plain form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.codec import Columns, count, load, ragged, rectangular, take
from thuja.core.errors import ArtifactError

LISTS = st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=8)


@given(LISTS, st.data())
def test_ragged_rows_are_taken_and_padded_as_a_loop_would(rows: list[list[int]], data: st.DataObject) -> None:
    index = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    column = ragged([np.array(r, np.int64) for r in rows])
    chosen = [rows[i] for i in index]
    width = max([len(r) for r in chosen] + [1])
    expected = np.array([r + [0] * (width - len(r)) for r in chosen], np.int64).reshape(len(chosen), width)
    assert np.array_equal(column.take(np.array(index, np.int64)).padded(), expected)


def test_columns_are_counted_taken_and_squared_together() -> None:
    columns: Columns = {"a": np.arange(6).reshape(3, 2), "b": ragged([np.array([1, 2]), np.array([3]), np.array([4, 5, 6])])}
    assert count(columns) == 3
    arrays = rectangular(take(columns, np.array([2, 0])))
    assert arrays["a"].tolist() == [[4, 5], [0, 1]]
    assert arrays["b"].tolist() == [[4, 5, 6], [1, 2, 0]]


def test_a_codec_of_an_unknown_kind_is_refused_and_names_no_code() -> None:
    for kind in ("os:system", None, 5, "tabel"):
        with pytest.raises(ArtifactError):
            load({"kind": kind}, {"table": "thuja.apps.table.codec:TableCodec"})
    with pytest.raises(ArtifactError) as caught:
        load({"kind": "tabel"}, {"table": "thuja.apps.table.codec:TableCodec"})
    assert str(caught.value) == "codec.json: kind: expected a known application, found 'tabel'. Did you mean 'table'?"


def test_an_installed_plugin_is_known_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugin:
        name = "mine"

        @staticmethod
        def load() -> type:
            from thuja.apps.table.codec import TableCodec

            return TableCodec

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Plugin] if group == "thuja.codecs" else [])
    with pytest.raises(ArtifactError) as caught:  # it is the plugin that reads, and refuses, the plain form
        load({"kind": "mine"}, {})
    assert caught.value.expected == "a TableCodec"
    with pytest.raises(ArtifactError) as caught:
        load({"kind": "mnie"}, {})
    assert str(caught.value) == "codec.json: kind: expected a known application, found 'mnie'. Did you mean 'mine'?"
