"""What the statistics of a table say: which columns are inputs and how they are read, and what kind of problem the target is. No torch."""

from typing import Any

from thuja.apps.table.codec import CategoryColumn, NumberColumn, Problem
from thuja.apps.table.statistics import ColumnStatistics
from thuja.core.errors import DataError

MOST_CLASSES_OF_NUMBERS = 20
"""A target of whole numbers with more different values is a quantity, with fewer it is a set of classes."""
SEEN = 3
"""A category seen in fewer training rows is encoded as unknown; that is where the vector of unknown names is learned."""


def problem_of(target: ColumnStatistics) -> Problem:
    """What the values of the target say."""
    different = len(target.names)
    if different < 2:
        found = "none" if not different else f"only {next(iter(target.names))!r}"
        raise DataError(target.name, expected="at least two different values", found=found,
                        fix="A target with one value cannot be learned: give rows with others.")
    if target.numeric and (not target.whole or different > MOST_CLASSES_OF_NUMBERS):
        return "regression"
    if different > target.rows / 2 and not target.numeric:
        raise DataError(target.name, expected="classes that repeat, or numbers", found=f"{different} different texts in {target.rows} rows",
                        fix="Choose another target, or clean this one.")
    return "binary" if different == 2 else "classes"


def range_of(target: ColumnStatistics) -> dict[str, Any]:
    """What the codec keeps of a regression target."""
    if not target.numeric or not len(target.known):
        raise DataError(target.name, expected="numbers", found="none" if target.numeric else "text",
                        fix="Set task.problem to classes, or choose another target.")
    return {"mean": float(target.known.mean()), "std": float(target.known.std()) or 1.0, "lower": float(target.known.min()), "upper": float(target.known.max())}


def number_column(column: ColumnStatistics) -> NumberColumn:
    return NumberColumn(name=column.name, quantiles=column.quantiles, integer=column.whole, missing=column.missing / column.rows)


def category_column(column: ColumnStatistics) -> CategoryColumn:
    return CategoryColumn(name=column.name, names=tuple(sorted(name for name, count in column.names.items() if count >= SEEN)))


def varies(column: ColumnStatistics) -> bool:
    """Whether an `auto` takes the column as a number: nothing but numbers, not all equal."""
    return column.numeric and column.quantiles[0] < column.quantiles[-1]


def repeats(column: ColumnStatistics) -> bool:
    """Whether an `auto` takes the column as a category: two names or more, each for two rows on average."""
    return column.plain and not column.numeric and not column.crowded and 2 <= len(column.names) <= (column.rows - column.missing) / 2


def by_value(name: str) -> tuple[float, str]:
    """A sort key: numbers by size, before other names in their order."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
