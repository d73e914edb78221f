"""Rows to learn from again: those of the data, as columns in memory, the newest of them, and requests that were answered and labelled. No torch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from thuja.artifact.folder import Artifact
from thuja.core.errors import DeploymentError
from thuja.data.rows import Source, Subset, column
from thuja.data.source import open_source
from thuja.data.split import times_of
from thuja.fields import Category, Number, Text
from thuja.fields.base import Field
from thuja.life.deployment import Deployment
from thuja.life.labels import Joined, join
from thuja.settings import Data, OrderSplit, TimeSplit

PLAIN: tuple[type[Field], ...] = (Number, Category, Text)
"""Fields of which a kept request holds the whole value, as a table does."""
Columns = dict[str, list[Any]]


def table(data: Data, root: Path, rows: Any = None) -> Source:
    """All rows of a table. Raises: DeploymentError where they come in parts, which cannot be added to or cut to the newest."""
    parts = open_source(data, root, rows)
    if "all" not in parts:
        raise DeploymentError("retrain", expected="one table, to add rows to or to take the newest of", found=f"parts: {', '.join(parts)}",
                              fix="Give one table with --data, or leave --traffic and renew.rows out.")
    return parts["all"]


def columns(source: Source) -> Columns:
    """The rows in memory."""
    return {name: column(source, name) for name in source.names}


def newest(source: Source, data: Data, most: int) -> Source:
    """The newest rows, by the time of the split, or by their order. Raises: DeploymentError for rows with neither."""
    if isinstance(data.split, TimeSplit):
        index = np.argsort(times_of(source, data.split.column), kind="stable")  # rows without a time are last, and would count as the newest
        known = ~np.isnan(times_of(source, data.split.column)[index])
        return Subset(source, np.sort(index[known][-most:]))
    if isinstance(data.split, OrderSplit):
        return Subset(source, np.arange(max(0, len(source) - most), len(source)))
    raise DeploymentError("renew.rows", expected="rows by time or in their order", found="a split that knows neither",
                          fix="Set data.split in the spec to time or order, or renew.rows in the plan to auto.")


def labelled(deployment: Deployment, artifact: Artifact) -> list[Joined]:
    """Every kept request with its whole row and a label that counts, oldest first. Raises: DeploymentError for a kind whose requests are no rows of a table."""
    other = [f"{name} ({field.kind})" for name, field in artifact.schema.inputs.items() if not isinstance(field, PLAIN)]
    if other:
        raise DeploymentError("retrain --traffic", expected="inputs that are numbers, categories or texts", found=", ".join(other),
                              fix="Add the requests to your data yourself, and retrain with --data.")
    if deployment.plan.record.inputs != "full":
        raise DeploymentError("retrain --traffic", expected="kept requests with their rows (record.inputs: full)", found=deployment.plan.record.inputs,
                              fix=f"Set record.inputs to full in {deployment.path / 'plan.json'}; requests from then on can be learned from.")
    now = deployment.clock() + 1
    labels = deployment.labels.between(0.0, now)
    kept = [call for call in deployment.calls.named({label.call for label in labels}).values() if call.inputs is not None]
    return sorted(join(kept, labels).joined, key=lambda one: one.call.at)


def with_traffic(rows: Columns, joined: Sequence[Joined], target: str, judged: str, time: str) -> Columns:
    """The rows with requests after them. `time`: the column of a split by time, which says when they were asked; what a request does not say is missing."""
    found = {name: list(values) for name, values in rows.items()}
    short = all(len(str(value)) == len("2026-01-31") for value in found.get(time, ())[:100])
    for one in joined:
        asked = datetime.fromtimestamp(one.call.at, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        known = {time: asked[:10] if short else asked} | (one.call.inputs or {}) | {target: one.label.truth.get(judged)}
        if known[target] is not None:
            for name, values in found.items():
                values.append(known.get(name))
    return found
