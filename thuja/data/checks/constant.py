"""Inputs that say nothing: the same in every training row, or missing in all."""

from collections.abc import Iterator

from thuja.data.checks.finding import Finding, Looked
from thuja.data.rows import Source, places


def constant_columns(looked: Looked) -> Iterator[Finding]:
    """Raw columns with one value, or with none, in the training rows: the inputs, and those that an `auto` left out for that very reason."""
    source = looked.parts["train"]
    for name in source.names:
        if name in looked.targets or source.kinds[name] not in ("number", "text", "time"):
            continue
        values = _first_values(source, name)
        if len(values) < 2:
            missing = values <= {None}
            yield Finding(
                "missing-column" if missing else "constant-column", "warn", len(source), [],
                f"{name!r} {'is missing' if missing else f'is {next(iter(values))!r}'} in all {len(source):,} training rows.",
                f"Leave {name!r} out" + (", or fill it." if missing else "."),
            )


def _first_values(source: Source, name: str) -> set[object]:
    """Different values of a column, until there are two."""
    seen: set[object] = set()
    for index in places(len(source), 8192):
        seen |= set(source.take(index, (name,))[name])
        if len(seen) > 1:
            break
    return seen
