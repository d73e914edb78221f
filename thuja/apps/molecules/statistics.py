"""What one pass over the training rows says: elements, spread of descriptors and targets, and what the targets are. No torch."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from thuja.apps.molecules import graph
from thuja.apps.molecules.codec import MoleculesCodec, Problem, class_name, missing
from thuja.core.errors import DataError, SpecError
from thuja.task import Source

SEEN = 3
"""An element of fewer training molecules is encoded as other; that is where the weights of other elements are learned."""


class Statistics:
    """Training rows so far."""

    def __init__(self, reader: MoleculesCodec, targets: Sequence[str]) -> None:
        """`reader`: reads molecules as they will be read."""
        self.reader = reader
        self.elements: Counter[int] = Counter()
        self.values: dict[str, list[Any]] = {target: [] for target in targets}
        self.whole: list[np.ndarray] = []

    def add(self, source: Source, descriptors: bool) -> None:
        """Every row; what is no molecule is left to the codec, which names it."""
        for rows in source.batches():
            for target, values in self.values.items():
                values += [value for value in rows[target] if not missing(value)]
            for i, value in enumerate(rows[self.reader.smiles]):
                try:
                    molecule = self.reader.read(value, f"rows[{i}].{self.reader.smiles}")
                except DataError:
                    continue
                self.elements.update({atom.GetAtomicNum() for atom in molecule.GetAtoms()})
                if descriptors:
                    self.whole.append(graph.descriptors(molecule))

    def codec(self, problem: Problem) -> MoleculesCodec:
        """What was learned."""
        if not self.elements:
            raise DataError(self.reader.smiles, expected="molecules as SMILES", found="none that can be read", fix="Name their column in task.smiles.")
        names = self._names() if problem == "binary" else ()
        amounts = {target: np.array([names.index(class_name(v)) if names else v for v in values], float) for target, values in self.values.items()}
        kept = tuple(sorted(number for number, rows in self.elements.items() if rows >= SEEN))
        return self.reader.model_copy(update={
            "problem": problem, "names": names, "elements": kept, "targets": tuple(amounts), **_spread(self.whole),
            "means": tuple(float(a.mean()) for a in amounts.values()), "stds": tuple(float(a.std()) or 1.0 for a in amounts.values())})

    def problem(self) -> Problem:
        """Two classes where every target has no more than two values together, else numbers. Raises: DataError for a target that has nothing to learn, and
        for names that are neither."""
        for target, values in self.values.items():
            if len({class_name(value) for value in values}) < 2:
                raise DataError(target, expected="at least two different values", found=f"only {values[0]!r}" if values else "none",
                                fix="Leave this target out, or give rows with another value.")
        together = {class_name(value) for values in self.values.values() for value in values}
        if len(together) == 2:
            return "binary"
        odd = next((value for values in self.values.values() for value in values if isinstance(value, (str, bool))), None)
        if odd is not None:
            raise DataError("task.target", expected="numbers, or two classes", found=f"{odd!r} among {len(together)} values",
                            fix="Targets are learned together: all of them numbers, or all of the same two classes.")
        return "regression"

    def _names(self) -> tuple[str, ...]:
        names = tuple(sorted({class_name(value) for values in self.values.values() for value in values}))
        if len(names) != 2:
            raise SpecError("task.problem", expected="two classes, the same for every target", found=f"{len(names)} values", fix="Set it to regression.")
        return names


def _spread(whole: list[np.ndarray]) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation of each descriptor where it is defined."""
    if not whole:
        return {}
    values = np.stack(whole).astype(np.float64)
    there = ~np.isnan(values)
    count, known = np.maximum(there.sum(axis=0), 1), np.where(there, values, 0.0)
    mean = known.sum(axis=0) / count
    std = np.sqrt((np.where(there, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return {"centre": tuple(mean.tolist()), "spread": tuple(np.where(std > 1e-6 * (1 + np.abs(mean)), std, 1e30).tolist())}
