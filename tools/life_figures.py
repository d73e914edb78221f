"""The table of docs/guide/life.md: what was aimed at for the life after deployment, and what the newest files of benchmarks/life/ say was reached."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import record

Result = dict[str, Any]


class Row(NamedTuple):
    """A figure of the table."""

    what: str
    file: str
    goal: str
    said: Callable[[Result], str]
    met: Callable[[Result], bool]


def worst(result: Result) -> float:
    """Of the alarms per 1,000 batches on the streams in which nothing changes."""
    return float(max(result["noaa_permuted"]["alarms_per_1000"], result["acs_employment_ma"]["order_of_the_file"]["alarms_per_1000"]))


def share(value: float) -> str:
    """A share in per cent.

    >>> share(0.7536)
    '75.4 %'
    """
    return f"{100 * value:.1f} %"


ROWS = (
    Row("false alarms in 1,000 batches, simulated, budget of one", "life_alarms", "≤ 1",
        lambda r: "{:.2f} (three sigma: {:.1f})".format(*(r["nothing_changes"][who]["alarms_per_1000_batches"] for who in ("thuja", "three_sigma"))),
        lambda r: r["nothing_changes"]["thuja"]["alarms_per_1000_batches"] <= 1),
    Row("the same on real streams: weather in random order; employment by year, in the order of its file", "life_calm", "≤ 1",
        lambda r: f"{r['noaa_permuted']['alarms_per_1000']:.2f}; {r['acs_employment_ma']['order_of_the_file']['alarms_per_1000']:.1f} (that file is sorted: "
                  "all alarms lie in its stretch of people in institutions)",
        lambda r: worst(r) <= 1),
    Row("batches of 100 labels to find five points, reference of 10,000", "life_alarms", "≤ 10", lambda r: f"{r['five_points']['thuja']['mean_batches']:.2f}",
        lambda r: r["five_points"]["thuja"]["mean_batches"] <= 10),
    Row("an unchanged process promoted, 200 retrainings", "life_alarms", "≤ 5 %",
        lambda r: f"{share(r['unchanged_process']['promoted'])} (the better number: {share(r['unchanged_process']['by_better_number'])})",
        lambda r: r["unchanged_process"]["promoted"] <= 0.05),
    Row("true gains of two points missed, 10,000 paired rows", "life_alarms", "≤ 20 %",
        lambda r: share(1 - min(found["promoted"] for found in r["true_gain_of_two_points"].values())),
        lambda r: min(found["promoted"] for found in r["true_gain_of_two_points"].values()) >= 0.8),
    Row("retraining regret: points above the best calendar with hindsight, two streams, three prices", "life_regret", "≤ 2 in each",
        lambda r: f"{', '.join(f'{value:.1f}' for value in r['points'].values())}: {r['within']} of {r['of']}", lambda r: r["within"] == r["of"]),
    Row("estimate without labels where trusted (weather), points off", "life_estimate", "≤ the constant, ≤ 1.5 floors",
        lambda r: f"{r['noaa']['trusted']['estimate']:.1f}; constant {r['noaa']['trusted']['constant']:.1f}, {r['noaa']['times_the_floor']:.2f} floors",
        lambda r: r["noaa"]["trusted"]["estimate"] <= r["noaa"]["trusted"]["constant"] and r["noaa"]["times_the_floor"] <= 1.5),
    Row("80 % interval of what is left, 926 simulated lives held out", "life_fleet", "75 to 85 % covered", lambda r: share(r["updated"]["covered"]),
        lambda r: 0.75 <= r["updated"]["covered"] <= 0.85),
    Row("the same, error of the middle date", "life_fleet", "≤ 45 %", lambda r: share(r["updated"]["relative_error"]),
        lambda r: r["updated"]["relative_error"] <= 0.45),
    Row("shuffled streams: no end in sight", "life_shuffled", "≥ 95 %", lambda r: share(r["no_end_in_sight"]), lambda r: r["no_end_in_sight"] >= 0.95),
    Row("promotion or rollback under load: failed requests; seconds to the first other answer, worst of 50", "life_serving", "0; < 5",
        lambda r: f"{r['changes']['failed']} of {r['changes']['requests']:,}; "
                  f"{max(r['changes']['promotion_s']['worst'], r['changes']['rollback_s']['worst']):.1f}",
        lambda r: r["changes"]["failed"] == 0 and max(r["changes"]["promotion_s"]["worst"], r["changes"]["rollback_s"]["worst"]) < 5),
    Row("recording: throughput of a model of 1 ms, of a tiny one, times that without", "life_serving", "≥ 0.95",
        lambda r: f"{r['convnet']['default plan']['throughput_ratio']:.2f}, {r['tiny']['default plan']['throughput_ratio']:.2f}",
        lambda r: min(r[name]["default plan"]["throughput_ratio"] for name in ("convnet", "tiny")) >= 0.95),
    Row("recording: p99, times that without", "life_serving", "≤ 1.2",
        lambda r: f"{r['convnet']['default plan']['p99_ratio']:.2f}, {r['tiny']['default plan']['p99_ratio']:.2f}",
        lambda r: max(r[name]["default plan"]["p99_ratio"] for name in ("convnet", "tiny")) <= 1.2),
    Row("a million rows of 50 columns summarised and compared, processor seconds on one core", "life_summaries", "≤ 5 on two",
        lambda r: f"{r['processor_s']:.1f} ({r['wall_s']:.1f} by the clock, shared)", lambda r: r["processor_s"] <= 5),
    Row("a look after ten years of daily looks, a million labels, s", "life_looks", "≤ 2", lambda r: f"{r['look_s']['whole_look']:.2f}",
        lambda r: r["look_s"]["whole_look"] <= 2),
)


def line(row: Row) -> str:
    """A row of the table."""
    path = record.latest(row.file)
    if path is None:
        return f"| {row.what} | {row.goal} | not measured yet | | |"
    result = json.loads(path.read_text("utf-8"))
    load = result["surroundings"]["load_before"]
    said = row.said(result) + ("" if row.met(result) else ", **not reached**")
    return f"| {row.what} | {row.goal} | {said} | {load:.1f} | [{row.file}](../../benchmarks/results/{path.name}) |"


def table() -> str:
    """The whole table."""
    return "\n".join(["| what | goal | reached | load | result |", "|---|---|---|---|---|", *map(line, ROWS)])
