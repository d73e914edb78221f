"""The outputs file: `outputs-<part>.parquet`, a row per example, from which every metric, interval, paired test and gallery is made. No torch.

Columns: `row` (id), `group` where rows belong together, `target:<name>`, one column per program output (lists for vectors), the baseline's outputs as
`baseline:<output>`, and the raw slice columns as `slice:<column>`. What cannot be a column (names of the classes, whose weights answered) is in the file's
metadata under the key `thuja`.
"""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.core.errors import ArtifactError
from thuja.core.storage import write_atomic
from thuja.metrics import Outputs

TARGET, BASELINE, SLICE = "target:", "baseline:", "slice:"


class Answered(NamedTuple):
    """The content of an outputs file."""

    rows: list[str]
    """The id of each row."""
    target: str
    """The name of the target column."""
    ours: Outputs
    baseline: Outputs | None
    slices: dict[str, list[Any]]
    """Raw values of the columns by which metrics are also shown."""
    facts: dict[str, Any]
    """Plain data: what was answered by what (`weights`, `codec`, `part`, `baseline` name and seconds), and `charts` (`thuja.chart.Chart.plain`)."""


def write(path: Path, answered: Answered) -> None:
    """Write the file whole or not at all. Raises: StorageError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"row": pa.array(answered.rows, pa.string())}
    if answered.ours.group is not None:
        columns["group"] = pa.array([str(g) for g in answered.ours.group], pa.string())
    columns[TARGET + answered.target] = _column(answered.ours.target)
    columns |= {name: _column(array) for name, array in answered.ours.arrays.items()}
    if answered.baseline is not None:
        columns |= {BASELINE + name: _column(array) for name, array in answered.baseline.arrays.items()}
    columns |= {SLICE + name: pa.array([str(v) if isinstance(v, Path) else v for v in values]) for name, values in answered.slices.items()}
    meta = {"thuja": json.dumps({"names": list(answered.ours.names), **answered.facts}, ensure_ascii=False).encode()}
    out = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(meta), out, compression="zstd")
    write_atomic(path, out.getvalue())


def read(path: Path) -> Answered:
    """Read the file back. Raises: ArtifactError when it is absent, damaged, or no outputs file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(path.read_bytes()))
        facts: dict[str, Any] = json.loads(table.schema.metadata[b"thuja"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        found = "nothing there" if isinstance(error, FileNotFoundError) else "a damaged file"
        raise ArtifactError(str(path), expected="an outputs file", found=found, fix="Make it again with `thuja evaluate`.") from error
    names = tuple(facts.pop("names"))
    target = next(name for name in table.column_names if name.startswith(TARGET))
    group = np.asarray(table["group"].to_pylist()) if "group" in table.column_names else None
    plain = [n for n in table.column_names if n not in ("row", "group") and ":" not in n]
    truth = _array(table[target])
    theirs = {n.removeprefix(BASELINE): _array(table[n]) for n in table.column_names if n.startswith(BASELINE)}
    return Answered(
        table["row"].to_pylist(), target.removeprefix(TARGET), Outputs(truth, {n: _array(table[n]) for n in plain}, group, names),
        Outputs(truth, theirs, group, names) if theirs else None,
        {n.removeprefix(SLICE): table[n].to_pylist() for n in table.column_names if n.startswith(SLICE)}, facts,
    )


def _column(array: np.ndarray) -> Any:
    import pyarrow as pa

    assert array.ndim in (1, 2), f"an output is a number or a vector per row, not {array.shape}"
    return pa.array(array) if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), array.shape[1])


def _array(column: Any) -> np.ndarray:
    import pyarrow as pa

    whole = column.combine_chunks()
    if pa.types.is_fixed_size_list(whole.type):
        flat: np.ndarray = whole.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, whole.type.list_size)
    values: np.ndarray = whole.to_numpy(zero_copy_only=False)
    return values


def arrays_of(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Program outputs as the file keeps them: one number or one vector per row."""
    return {name: array.reshape(len(array), -1) if array.ndim > 2 else array for name, array in outputs.items()}
