"""Rows that could not be read or encoded: a truncated picture, a ragged line, an unknown class."""

from collections.abc import Iterator

from thuja.data.checks.finding import SHOWN, Finding, Looked, share


def unusable_rows(looked: Looked) -> Iterator[Finding]:
    """Rows left out within the budget (`data.bad_rows`); beyond it the data are refused before any check."""
    for part, encoded in looked.encoded.items():
        if encoded.bad:
            total = len(looked.parts[part]) + len(looked.parts[part].bad)
            yield Finding(
                "unusable-rows", "warn", len(encoded.bad), [bad.id for bad in encoded.bad[:SHOWN]],
                f"{share(len(encoded.bad), total)} {part} rows are left out: {encoded.bad[0].id}: {encoded.bad[0].reason}.",
                "Repair or remove them; they are counted in every report.",
            )
