"""A challenger beside the champion: in the shade, then with a growing share of the requests, until it is promoted, sent back, or taken away at once.

What is watched needs no trust in the challenger: failed answers and latency (guardrails, minute by minute), and losses on labelled rows (a bet that it is
better, one that it is not worse by the margin, and one that it is). A single answer that is not finite, empty where none may be, or the same class over and
over ends a canary on the spot.

Source: the bets are those of `life.sequential`; shares 1, 10, 50, 100 % and the three bad minutes are customs of the trade, stated in the plan.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from thuja.life.plan import Challenge
from thuja.life.sequential import Comparison, upper_bound
from thuja.life.states import Gate

BAD_MINUTES = 3
"""In a row, before a guardrail ends a canary."""
FEWEST_ANSWERS = 20
"""Of a minute, without which it says nothing."""
SLOW = 60
"""Minutes of which the latency is remembered: each goes into the ledger again with every tick."""
ONE_CLASS = 200
"""Answers of one class in a row where the champion has given others."""
Verdict = Literal["wait", "next share", "promote", "send back", "roll back"]


class Minute(NamedTuple):
    """What a version did in a minute."""

    answers: int
    failures: int
    p99: float
    """Milliseconds; NaN without answers."""
    broken: str = ""
    """What no version may ever answer, in words; empty: nothing such."""


@dataclass(frozen=True)
class Trial:
    """A challenge so far. Frozen: `after_*` give the next one."""

    better: Comparison
    """That the challenger is better at all."""
    not_worse: Comparison
    """That it is not worse by more than the margin."""
    worse: Comparison
    """That it is worse by more than the margin: seen from the champion's side."""
    place: int = -1
    """Of the share among `plan.canary`; -1 in the shade."""
    since: float = 0.0
    """When that share began."""
    bad: int = 0
    """Bad minutes in a row."""
    why: str = ""
    """What was bad about the last of them."""
    answers: int = 0
    failures: int = 0
    slow: tuple[float, ...] = field(default=())
    """p99 of the challenger over that of the champion, in the last minutes at this share."""

    def after_minute(self, plan: Challenge, champion: Minute, challenger: Minute) -> "Trial":
        """After a minute in which both answered."""
        if challenger.broken:
            return replace(self, bad=BAD_MINUTES, why=challenger.broken)
        if challenger.answers < FEWEST_ANSWERS:
            return self
        ratio = challenger.p99 / champion.p99 if champion.p99 > 0 else math.nan
        why = ""
        if challenger.failures > plan.errors * challenger.answers and challenger.failures > champion.failures:
            why = f"{challenger.failures} of {challenger.answers} answers failed in a minute"
        elif ratio > plan.slower:
            why = f"p99 of {challenger.p99:.3g} ms, {ratio:.2g} times the champion's"
        return replace(self, bad=self.bad + 1 if why else 0, why=why, answers=self.answers + challenger.answers, failures=self.failures + challenger.failures,
                       slow=self.slow if math.isnan(ratio) else (*self.slow, ratio)[-SLOW:])

    def after_labels(self, champion: np.ndarray, challenger: np.ndarray) -> "Trial":
        """After labels of rows that both have answered: losses [n] in [0, 1] of each."""
        return replace(self, better=self.better.after(champion, challenger), not_worse=self.not_worse.after(champion, challenger),
                       worse=self.worse.after(challenger, champion))

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        bets = {name: bet.plain() for name, bet in (("better", self.better), ("not_worse", self.not_worse), ("worse", self.worse))}
        return bets | {"place": self.place, "since": self.since, "bad": self.bad, "why": self.why, "answers": self.answers, "failures": self.failures,
                       "slow": list(self.slow)}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """From its plain form."""
        bets = {name: Comparison.parse(data[name]) for name in ("better", "not_worse", "worse")}
        return cls(**data | bets | {"slow": tuple(data["slow"])})

    def at_share(self, place: int, now: float) -> "Trial":
        """At another share of the requests, from now on."""
        return replace(self, place=place, since=now, bad=0, why="", slow=())


def begun(plan: Challenge) -> Trial:
    """A challenge in which nothing has happened."""
    return Trial(Comparison(), Comparison(margin=-plan.margin), Comparison(margin=plan.margin))


class Said(NamedTuple):
    """What to do, and why."""

    verdict: Verdict
    words: str


def verdict(plan: Challenge, trial: Trial, now: float, *, younger: bool) -> Said:
    """What is to be done now. Promotion needs evidence that the challenger is better, or that it is not worse while younger, at the last share."""
    odds = 1 / plan.false_promotions
    if trial.bad >= BAD_MINUTES:
        return Said("roll back" if trial.place >= 0 else "send back", trial.why)
    if trial.worse.wealth >= odds:
        return Said("roll back" if trial.place >= 0 else "send back", f"worse by more than {plan.margin:g} (evidence {trial.worse.wealth:.0f} to 1)")
    if now - trial.since < plan.step:
        return Said("wait", f"{plan.step - (now - trial.since):.0f} s left at this share")
    if trial.place < len(plan.canary) - 1:
        return Said("next share", "no guardrail was touched")
    enough = trial.better.rows >= plan.fewest
    if enough and trial.better.wealth >= odds:
        return Said("promote", f"better by {trial.better.mean:.4f} on {trial.better.rows:,} rows (evidence {trial.better.wealth:.0f} to 1)")
    if enough and younger and trial.not_worse.wealth >= odds:
        return Said("promote", f"younger, and not worse by {plan.margin:g} on {trial.better.rows:,} rows (evidence {trial.not_worse.wealth:.0f} to 1)")
    if trial.better.rows >= plan.most:
        return Said("send back", f"no difference shown on {trial.better.rows:,} rows: the champion stays")
    return Said("wait", f"{trial.better.rows:,} paired rows; evidence {max(trial.better.wealth, trial.not_worse.wealth):.1f} of {odds:.0f} to 1")


def gates(plan: Challenge, trial: Trial) -> dict[str, Gate]:
    """What is shown at the gates of SHADOW and CANARY."""
    share = trial.failures / trial.answers if trial.answers else 0.0
    high = upper_bound(share, trial.answers, 0.95) if trial.answers else 1.0
    slow = float(np.median(trial.slow)) if trial.slow else math.nan
    said = verdict(plan, trial, math.inf, younger=True)
    return {
        "errors": Gate(trial.failures <= plan.errors * trial.answers, f"{trial.failures} of {trial.answers:,} answers failed (at most {high:.2%})"),
        "latency": Gate(not slow > plan.slower, "not measured" if math.isnan(slow) else f"{slow:.2f} times the champion's p99"),
        "comparison": Gate(said.verdict == "promote", said.words),
    }


def one_class(answers: Sequence[str], champions: Sequence[str]) -> str:
    """What is broken about a challenger that gives one class over and over where the champion gives several; empty where nothing is."""
    if len(answers) >= ONE_CLASS and len(set(answers[-ONE_CLASS:])) == 1 and len(set(champions[-ONE_CLASS:])) > 1:
        return f"{answers[-1]!r} for {ONE_CLASS} answers in a row"
    return ""
