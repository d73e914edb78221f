"""Episodes of an environment: control."""

from collections.abc import Mapping

from thuja.core.errors import DataError
from thuja.data.episodes import EpisodesSource
from thuja.data.guess import Guess
from thuja.data.rows import Source


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where the data are the name of an environment. Raises: DataError where a target is named: what is sought is the return."""
    source = parts.get("train")
    if not isinstance(source, EpisodesSource):
        return None
    if target is not None:
        raise DataError("target", expected="none: what counts is the return", found=repr(target), fix="Leave --target out.")
    notes = [f"{source.environment!r} is no file, but an environment of gymnasium: a policy is learned by playing in it.",
             ", ".join(f"{len(part):,} {name} episodes" for name, part in parts.items()) + ", each with a seed of its own."]
    return Guess({"kind": "control", "environment": source.environment}, {"format": "episodes"}, notes)
