"""`thuja check`: what would make the result a lie, found before training and kept from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core.errors import CheckError
from thuja.data.checks import Finding, blocking
from thuja.spec import Spec
from thuja.training.prepare import gather


class Checked(NamedTuple):
    """What was found."""

    rows: dict[str, int]
    """Rows of each part."""
    findings: list[Finding]
    """Those that block first."""

    @property
    def blocking(self) -> list[Finding]:
        """Findings that stand in the way of training: neither resolved nor waived."""
        return list(blocking(self.findings))


def check(spec: Spec[Any] | Path | str, *, data: Any = None, overrides: Sequence[str] = ()) -> Checked:
    """Run every check on the rows of a spec; nothing is written but the cache of encoded columns.

    Args:
        spec: a spec or its file.
        data: rows as a Python object, in place of `spec.data.path`.
        overrides: "name=value" changes of a spec read from a file.
    Raises: SpecError, DataError. What blocks is returned, not raised; `refuse` raises.
    """
    gathered = gather(spec, data, overrides, check=True)
    return Checked({name: len(source) for name, source in gathered.opened.sources.items()}, gathered.findings)


def refuse(checked: Checked) -> None:
    """Raises: CheckError naming what blocks, if anything does."""
    found = checked.blocking
    if found:
        names = ", ".join(f.check for f in found)
        raise CheckError("check", expected="nothing that blocks training", found=names,
                         fix=f"Resolve them, or accept one on purpose: check: {{waive: {{{found[0].check}: why}}}} in the spec.")
