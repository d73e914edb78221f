"""Errors as they are shown."""

import pytest

from thuja.core.errors import DataError, without_password
from thuja.data.source import open_source
from thuja.settings import Data


@pytest.mark.parametrize(("text", "shown"), [
    ("https://me:secret@example.org/x", "https://***@example.org/x"),
    ("https:/me:secret@example.org/x", "https:/***@example.org/x"),
    ("postgresql+psycopg://me:se:cr:et@db/rows", "postgresql+psycopg://***@db/rows"),
    ("https://example.org:8000/x@y", "https://example.org:8000/x@y"),
    ("a mail to me@example.org: at once", "a mail to me@example.org: at once"),
])
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_an_address_is_no_path() -> None:
    with pytest.raises(DataError) as caught:
        open_source(Data(path="https://me:secret@example.org/rows.csv"))
    assert str(caught.value) == ("data.path: expected a folder or a file on this machine, found the address https:/***@example.org/rows.csv. "
                                 "Download it first: Thuja opens no network connections.")
