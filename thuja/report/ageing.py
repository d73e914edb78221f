"""What the ageing test found, for the report and the card: the decay curve with its interval, and how often to train anew."""

from typing import Any

import numpy as np

from thuja.chart import Chart, Line

DAY = 86400.0


def charts(ageing: dict[str, Any] | None) -> list[Chart]:
    """The loss by age with its interval; nothing where the test was not made."""
    if ageing is None:
        return []
    curve = ageing["curve"]
    loss, low, high = (np.array([np.nan if value is None else value for value in curve[name]], float) for name in ("loss", "low", "high"))
    known = np.flatnonzero(np.isfinite(loss))
    line = Line("mean of all models", known.astype(float), loss[known], low[known], high[known])
    alt = f"{len(ageing['cuts'])} models, trained at past dates and judged on what came afterwards; the band is the 90 % interval. {said(ageing)}"
    return [Chart("How models like this one age", alt, f"age in windows of {span(ageing)}", "loss (0 is right, 1 wholly wrong)", lines=[line])]


def sentences(ageing: dict[str, Any] | None) -> list[str]:
    """For the card; nothing where the test was not made."""
    if ageing is None:
        return []
    loss = [value for value in ageing["curve"]["loss"] if value is not None]
    first = f"Loss {loss[0]:.3f} in the first window after training, {loss[-1]:.3f} in the last one watched (0 is right, 1 wholly wrong)."
    return [f"{len(ageing['cuts'])} models like this one were trained at past dates and judged on what came afterwards, in windows of {span(ageing)}.",
            f"{first} {said(ageing)}"]


def said(ageing: dict[str, Any]) -> str:
    """How many ended, and the default calendar.

    >>> said({"lives": [[3, True], [5, False]], "margin": 0.05, "half": 3.0, "calendar": {"every": 4.0}, "window": 864000.0, "dated": True})
    '1 of 2 became worse by 0.05 for good, half of them within 3 windows. Cheapest rhythm: train every 4 windows (40 days).'
    """
    ended = sum(over for _, over in ageing["lives"])
    half = "" if ageing["half"] is None else f", half of them within {ageing['half']:.0f} windows"
    every = ageing["calendar"]["every"]
    rhythm = "Training anew on a calendar would not pay." if every is None else f"Cheapest rhythm: train every {every:.0f} windows ({span(ageing, every)})."
    return f"{ended} of {len(ageing['lives'])} became worse by {ageing['margin']:g} for good{half}. {rhythm}"


def span(ageing: dict[str, Any], windows: float = 1.0) -> str:
    """Some windows for people: days, hours, or rows where rows have only an order.

    >>> span({"window": 864000.0, "dated": True}), span({"window": 5400.0, "dated": True}), span({"window": 140.0, "dated": False}, 2)
    ('10 days', '1.5 hours', '280 rows')
    """
    size = ageing["window"] * windows
    if not ageing["dated"]:
        return f"{size:.0f} rows"
    return f"{size / DAY:.3g} days" if size >= 2 * DAY else f"{size / 3600:.3g} hours"
