"""Recordings with what was said in them: speech recognition."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.data.audio_folder import RecordingsSource, is_recording
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.settings import Data

SAID = ("text", "transcript", "transcription", "sentence", "said", "label", "word", "words")
"""Usual names of the column with what was said, in order of preference."""
WHO = ("speaker", "speaker_id", "client_id", "voice")
SAMPLE = 100


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where a column holds file names of recordings. Raises: DataError when `target` is no column, or nothing says what was said."""
    source = parts.get("train") or parts["all"]
    first = source.take(np.arange(min(len(source), SAMPLE)))
    named = [name for name in source.names if source.kinds[name] in ("file", "text") and (values := [v for v in first[name] if v is not None])
             and all(is_recording(str(value)) for value in values)]
    if not named:
        return None
    if target is not None and target not in source.names:
        raise DataError("target", expected="the name of a column", found=repr(target), fix=did_you_mean(target, source.names))
    others = [name for name in source.names if name not in named]
    said = target or next((name for name in SAID if name in others), others[0] if others else None)
    if said is None:
        raise DataError("data", expected="a column with what was said", found=f"one column, {named[0]!r}", fix="Add one.")
    notes = [", ".join(f"{len(part):,} {'recordings' if name == 'all' else name + ' recordings'}" for name, part in parts.items()) + ".",
             f"Recordings: {named[0]!r}. What was said: {said!r}."]
    data: dict[str, Any] = {"files": [named[0]]} if source.kinds[named[0]] == "text" else {}
    if isinstance(source, RecordingsSource) and source.pattern:
        data["pattern"] = source.pattern
        notes.append(f"Names of files are read as {source.pattern}; correct data.pattern if that is wrong.")
    notes += [f"{name!r} says who spoke: with `data.split: {{kind: group, column: {name}}}` the test is of voices never heard in training."
              for name in others if name in WHO and "all" in parts]
    how = settle(parts, Data())
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    return Guess({"kind": "speech-recognition", "audio": named[0], "target": said}, data, notes)
