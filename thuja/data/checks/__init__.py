"""What would make a result a lie, looked for before training. Each check is a pure function of the parts; one file per family."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from thuja.data.checks.boxes import odd_boxes
from thuja.data.checks.classes import absent_classes
from thuja.data.checks.constant import constant_columns
from thuja.data.checks.duplicates import exact_duplicates
from thuja.data.checks.finding import Finding as Finding
from thuja.data.checks.finding import Looked
from thuja.data.checks.labels import contradicting_labels, suspected_labels
from thuja.data.checks.leakage import group_overlap, target_proxies, time_overlap
from thuja.data.checks.near import near_duplicates
from thuja.data.checks.unusable import unusable_rows
from thuja.data.columns import Encoded
from thuja.data.rows import Source
from thuja.settings import Check, Data

CHECKS = (unusable_rows, absent_classes, exact_duplicates, near_duplicates, group_overlap, time_overlap, target_proxies, contradicting_labels, suspected_labels,
          constant_columns, odd_boxes)


class Checked(Protocol):
    """The parts of a spec that matter here."""

    @property
    def task(self) -> Any: ...
    @property
    def data(self) -> Data: ...
    @property
    def check(self) -> Check: ...


def run_checks(parts: Mapping[str, Source], encoded: Mapping[str, Encoded], spec: Checked) -> list[Finding]:
    """All findings, those that block first; one that `spec.check.waive` names carries the reason given there.

    Args:
        parts: "train", and "validation" and "test" where there are any.
        encoded: the same parts, encoded.
        spec: its data section has the split settled, its task knows the targets.
    """
    targets = tuple(spec.task.targets)
    looked = Looked(dict(parts), dict(encoded), _inputs(parts["train"], encoded["train"], spec.task, targets), targets, spec.data, {})
    findings = [finding for check in CHECKS for finding in check(looked)]
    findings = [finding._replace(waived=spec.check.waive.get(finding.check, "")) for finding in findings]
    return sorted(findings, key=lambda finding: (bool(finding.waived), finding.severity != "block"))


def blocking(findings: list[Finding]) -> Iterator[Finding]:
    """Those that stand in the way of training."""
    return (finding for finding in findings if finding.severity == "block" and not finding.waived)


def _inputs(source: Source, encoded: Encoded, task: Any, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Raw columns that the model sees: those encoded under their own name, or listed in the task, else all but the targets."""
    own = tuple(name for name in encoded.columns if name in source.names and name not in targets)
    fields = [value for field in ("numbers", "categories") if isinstance(value := getattr(task, field, ()), (tuple, list))]  # and not "auto"
    listed = tuple(name for names in fields for name in names if name in source.names)
    return own or listed or tuple(name for name in source.names if name not in targets)
