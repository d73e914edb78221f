"""Molecules to arrays and answers back: atoms and bonds, ragged, and descriptors of the whole. No torch; rdkit when a molecule is read."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from thuja.apps.molecules import graph
from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import AnyField, Category, Molecule, Number, Schema, Scores

Problem = Literal["binary", "regression"]
Fragments = Literal["keep", "largest"]


class MoleculesCodec(Codec):
    """Which elements are known, how descriptors are spread, and what the answer means.

    Encodes, named after the column of SMILES: `<smiles>` int64 ragged [atoms, 10] and `<smiles>_bonds` int64 ragged [bonds, 6] (see `graph`), and
    `<smiles>_descriptors` float32 [rows, 77], as they are. A single target is float32, or int64 for two classes, and must be there. Of several each is
    float32, NaN where a label is missing; one of them must be there.
    """

    kind: Literal["molecules"] = "molecules"
    smiles: str
    """Name of the column with SMILES."""
    targets: tuple[str, ...]
    problem: Problem
    names: tuple[str, ...] = ()
    """The two classes; the last is the positive one."""
    means: tuple[float, ...]
    """Of each target over the training rows that have it, in its unit; of classes the share of positive ones."""
    stds: tuple[float, ...]
    """Likewise; positive."""
    elements: tuple[int, ...]
    """Atomic numbers that training rows had, encoded as 2 and on; all others are encoded as 1."""
    fragments: Fragments = "keep"
    centre: tuple[float, ...] = ()
    """Mean of each descriptor over the training rows; empty where descriptors are not used."""
    spread: tuple[float, ...] = ()
    """Standard deviation, likewise; very large for one that never varies."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded inputs."""
        return (self.smiles, f"{self.smiles}_bonds", *((f"{self.smiles}_descriptors",) if self.centre else ()))

    @cached_property
    def field(self) -> Molecule:
        """What a molecule may be."""
        parts = "Of parts joined by dots, the largest is taken." if self.fragments == "largest" else "Parts joined by dots count together."
        return Molecule(description=f"A molecule as SMILES, such as CCO. {parts}")

    @cached_property
    def known(self) -> dict[int, int]:
        """What each atomic number is encoded as."""
        return {number: place for place, number in enumerate(self.elements, graph.OTHER + 1)}

    @property
    def atom_sizes(self) -> tuple[int, ...]:
        """How many values each property of an atom may have."""
        return (len(self.elements) + graph.OTHER + 1, *graph.ATOM_SIZES)

    def schema(self) -> Schema:  # type: ignore[override]
        """A molecule in; `label`, `probability` (of that label) and `probabilities`, or `value`, out; of several targets, a number for each."""
        inputs: dict[str, AnyField] = {self.smiles: self.field}
        if len(self.targets) > 1:
            limits: dict[str, Any] = {"lower": 0, "upper": 1, "description": f"Probability of {self.names[1]}."} if self.problem == "binary" else {}
            return Schema(inputs=inputs, outputs={target: Number(**limits) for target in self.targets})
        if self.problem == "regression":
            return Schema(inputs=inputs, outputs={"value": Number(description=self.targets[0])})
        return Schema(inputs=inputs, outputs={"label": Category(names=self.names, description=self.targets[0]),
                                              "probability": Number(lower=0, upper=1, description="Of the label given."),
                                              "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """Raises: BadRows for what is no molecule, for a label of another kind, and for rows without any label; DataError for an absent column;
        MissingExtra without rdkit."""
        if self.smiles not in rows:
            raise DataError(self.smiles, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.smiles, rows))
        bad: dict[int, ThujaError] = {}
        atoms, bonds, whole = [], [], []
        for i, value in enumerate(rows[self.smiles]):
            try:
                molecule = self.read(value, f"rows[{i}].{self.smiles}")
            except DataError as error:
                bad[i] = error
                continue
            atoms.append(graph.atoms(molecule, self.known))
            bonds.append(graph.bonds(molecule))
            if self.centre:
                whole.append(graph.descriptors(molecule))
        labels = self._labels(rows, bad) if all(target in rows for target in self.targets) else {}
        if bad:
            raise BadRows(bad)
        columns: Columns = dict(zip(self.columns, (ragged(atoms), ragged(bonds)), strict=False))
        if self.centre:
            columns[self.columns[2]] = np.array(whole, np.float32).reshape(-1, graph.DESCRIPTORS)
        return columns | labels

    def read(self, value: Any, where: str) -> Any:
        """The rdkit molecule that is encoded. Raises: as `Molecule.read`."""
        molecule = self.field.read(value, where)
        return graph.largest(molecule) if self.fragments == "largest" and "." in value else molecule

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, 2] or `value` float [rows] as plain values; of several targets `chances` or `values` [rows, targets]."""
        if len(self.targets) > 1:
            found = outputs["chances" if self.problem == "binary" else "values"].astype(float)
            return {target: found[:, i].tolist() for i, target in enumerate(self.targets)}
        if self.problem == "regression":
            return {"value": outputs["value"].astype(float).tolist()}
        probability = outputs["probability"]
        return {"label": [self.names[i] for i in probability.argmax(axis=1)], "probability": probability.max(axis=1).astype(float).tolist(),
                "probabilities": [dict(zip(self.names, row, strict=True)) for row in probability.astype(float).tolist()]}

    def _labels(self, rows: Rows, bad: dict[int, ThujaError]) -> Columns:
        """The targets, each under its name."""
        found: Columns = {target: self._target(rows[target], target, bad) for target in self.targets}
        there = ~np.isnan(np.stack([np.asarray(found[target]) for target in self.targets], axis=1)).all(axis=1)
        for i in map(int, np.flatnonzero(~there)):
            several = len(self.targets) > 1
            where, what = (f"rows[{i}]", f"a label for one of {len(self.targets)} targets") if several else (f"rows[{i}].{self.targets[0]}", "a label")
            bad.setdefault(i, DataError(where, expected=what, found="nothing", fix="Fill it in, or leave the row out."))
        if len(self.targets) == 1 and self.problem == "binary" and there.all():
            found[self.targets[0]] = np.asarray(found[self.targets[0]]).astype(np.int64)
        return found

    def _target(self, values: Sequence[Any], target: str, bad: dict[int, ThujaError]) -> np.ndarray:
        """float32 [rows], NaN where a label is missing."""
        out = np.full(len(values), np.nan, np.float32)
        for i, value in enumerate(values):
            where = f"rows[{i}].{target}"
            if missing(value):
                continue
            try:
                out[i] = self._amount(value, where) if self.problem == "regression" else self.names.index(class_name(value))
            except DataError as error:
                bad.setdefault(i, error)
            except ValueError:
                bad.setdefault(i, DataError(where, expected=f"one of {' and '.join(self.names)}", found=repr(value)[:60],
                                            fix=did_you_mean(class_name(value), self.names)))
        return out

    @staticmethod
    def _amount(value: Any, where: str) -> float:
        Number(lower=-3e38, upper=3e38).check(value, where)
        return float(value)


def class_name(value: Any) -> str:
    """The class that a raw value stands for: whole numbers are written without a point, so that CSV's 1.0 and JSON's 1 are one class.

    >>> class_name(1.0), class_name(1), class_name("active")
    ('1', '1', 'active')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def missing(value: Any) -> bool:
    """Whether nothing is there: None, an empty text, not a number."""
    return value is None or value == "" or value != value
