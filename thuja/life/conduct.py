"""One tick of a deployment's life: look if it is time, carry a challenge one step further, tell people. A service does it every minute, a replay as often.

Nothing here is remembered outside of the ledger. A tick that dies in the middle has written whole decisions or none, and the next one goes on from there.
"""

import contextlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thuja.core.errors import DeploymentError
from thuja.life import challenge
from thuja.life.challenge import Minute, Trial
from thuja.life.deployment import AGAIN, Deployment, Looked, Step, handover, steps
from thuja.life.labels import join
from thuja.life.ledger import Event, Said, Stale, last_of
from thuja.life.loss import losses
from thuja.life.plan import Change
from thuja.life.states import Gate, Standings, fold
from thuja.life.tell import tell

QUIET_S = 600.0
"""A challenge of which there is nothing to tell is written down as often."""


class Ticked(NamedTuple):
    """What a tick came to."""

    looked: Looked | None
    challenge: challenge.Said | None
    """What was decided about the challenger; None where there is none."""
    wants: bool
    """Whether a new model is wished for, and the plan lets it be trained without a person."""
    kept: bool = True
    """Whether the minutes are in the ledger; if not, hand them in again with the next: nothing but good can be said of them."""


def tick(deployment: Deployment, minutes: Sequence[tuple[Minute, Minute]] = ()) -> Ticked:
    """Do what is due. `minutes`: what champion and challenger did since the last tick, side by side."""
    plan, now = deployment.plan, deployment.clock()
    events = deployment.ledger.events()
    looked = deployment.look() if _due(deployment, events, now) else None
    before = len(deployment.ledger.events())
    said = carry_on(deployment, minutes)
    kept = said is None or len(deployment.ledger.events()) > before
    if told := tell(plan.tell, deployment.path.name, deployment.ledger.events()):
        deployment.ledger.append(told)  # not made again where others write: it has been told
    wants = looked is not None and looked.decision.retrain and "retrain" in plan.alone
    return Ticked(looked, said, wants, kept)


def _due(deployment: Deployment, events: list[Event], now: float) -> bool:
    standings = fold(events)
    if not standings.champion:
        return False
    last = last_of(events, "look", standings.champion)
    since = last.body["end"] if last is not None else standings.of(standings.champion).since
    return bool(now - since >= deployment.plan.harm.window - 1e-6)


def trial_of(events: Sequence[Event], version: str) -> Trial | None:
    """A challenge as the ledger has it, since the version went into the shade; None where nothing was written of it yet."""
    for event in reversed(events):
        if event.version == version and event.kind == "comparison":
            return Trial.parse(event.body["trial"])
        if event.version == version and event.kind == "moved" and event.body["to"] == "SHADOW":
            return None
    return None


def carry_on(deployment: Deployment, minutes: Sequence[tuple[Minute, Minute]] = ()) -> challenge.Said | None:
    """Carry the challenge of the version in SHADOW or CANARY on, and act on the verdict where the plan lets it; what waits for a person is written down, and of
    good minutes alone there is a word every QUIET_S. Where others have written meanwhile, it is all thought over again, so that no label counts twice.

    Raises: DeploymentError where that never ends.
    """
    for _ in range(AGAIN):
        with contextlib.suppress(Stale):
            return _carried_on(deployment, minutes)
    raise DeploymentError(str(deployment.path), expected="a moment in which nobody else writes", found="none", fix="Try again.")


def _carried_on(deployment: Deployment, minutes: Sequence[tuple[Minute, Minute]]) -> challenge.Said | None:
    """Raises: Stale."""
    now, events, plan = deployment.clock(), deployment.ledger.events(), deployment.plan
    standings = fold(events)
    if not standings.beside or not standings.champion:
        return None
    version, champion = standings.of(standings.beside), standings.of(standings.champion)
    known = trial_of(events, version.name)
    trial = known or challenge.begun(plan.challenge).at_share(-1, version.since)
    if version.standing == "CANARY" and trial.place < 0:  # a person has put it there
        trial = trial.at_share(sum(share <= standings.share for share in plan.challenge.canary[1:]), version.since)
    for theirs, ours in minutes:
        trial = trial.after_minute(plan.challenge, theirs, ours)
    trial, labels = _labelled(deployment, standings, trial, events)
    said = challenge.verdict(plan.challenge, trial, now, younger=version.born > champion.born)
    action: Change | None = {"next share": "canary", "promote": "promote", "send back": "canary", "roll back": "rollback"}.get(said.verdict)  # type: ignore[assignment]
    allowed = action is not None and action in plan.alone
    if said.verdict == "next share" and allowed:
        trial = trial.at_share(trial.place + 1, now)
    if said.verdict == "wait" and not labels and known is not None and trial.bad == known.bad and now - _until(events, version.name) < QUIET_S:
        return said
    body = {"trial": trial.plain(), "verdict": said.verdict, "words": said.words, "until": now, "labels": labels,
            "waits_for_a_person": action is not None and not allowed}
    acted = _acted(deployment, standings, version.name, trial, said) if allowed else []
    deployment.ledger.append([Said("comparison", version.name, body), *acted], after=len(events))
    return said


def _until(events: Sequence[Event], version: str) -> float:
    """When its challenge was last written down."""
    last = last_of(events, "comparison", version)
    return -math.inf if last is None else float(last.body["until"])


def promote(deployment: Deployment, *, by: str, waive: dict[str, str] | None = None) -> list[Event]:
    """Let the challenger be the champion because a person says so. Gates that are shut must be waived, each with a reason. Raises: DeploymentError."""
    standings = deployment.standings()
    if not standings.beside:
        raise DeploymentError("promote", expected="a challenger", found="none", fix="Put one beside the champion with `thuja challenge`.")
    trial = trial_of(deployment.ledger.events(), standings.beside) or challenge.begun(deployment.plan.challenge)
    shown = {name: gate._replace(waived=(waive or {}).get(name, "")) for name, gate in challenge.gates(deployment.plan.challenge, trial).items()}
    path: list[Step] = []
    if standings.of(standings.beside).standing != "CANARY":
        path = [(standings.beside, "CANARY", shown | {"disagreement": Gate(True, f"by {by}")})]
    return deployment.say(lambda now: steps(now, [*path, *handover(now, standings.beside, shown)], by))


def _labelled(deployment: Deployment, standings: Standings, trial: Trial, events: Sequence[Event]) -> tuple[Trial, int]:
    """The trial after the labels that came since it was last looked at, of questions that both versions have answered."""
    last = max(_until(events, standings.beside), standings.of(standings.beside).since)
    came = deployment.labels.between(last, deployment.clock())
    if not came:
        return trial, 0
    seen, shade = deployment.calls.named({label.call for label in came}), deployment.calls.named({label.call for label in came}, shade=True)
    before = deployment.labels.truths((label.call for label in came), standings.of(standings.beside).since, last)
    reference = deployment.reference(standings.champion)
    schema = deployment.artifact(standings.champion).codec.schema()
    rows = [(one.label.truth, {seen[name].version: seen[name].answer, shade[name].version: shade[name].answer})
            for one in join(seen.values(), came, before).joined if (name := one.call.id) in shade]
    rows = [(truth, answers) for truth, answers in rows if {standings.champion, standings.beside} <= set(answers)]
    truths = [truth for truth, _ in rows]
    theirs, ours = (losses(schema, reference.judged, [answers[who] for _, answers in rows], truths) for who in (standings.champion, standings.beside))
    known = ~np.isnan(theirs) & ~np.isnan(ours)
    return trial.after_labels(theirs[known], ours[known]), int(known.sum())


def _acted(deployment: Deployment, now: Standings, name: str, trial: Trial, said: challenge.Said) -> list[Said]:
    """The steps of a verdict."""
    plan = deployment.plan.challenge
    standing = now.of(name).standing
    shown = challenge.gates(plan, trial)
    match said.verdict:
        case "next share" if standing == "SHADOW":
            taken = steps(now, [(name, "CANARY", shown | {"disagreement": Gate(True, "told of, not judged")})], "policy")
            return [taken[0]._replace(body=taken[0].body | {"share": plan.canary[trial.place]})]
        case "next share":
            return [Said("share", name, {"share": plan.canary[trial.place]})]
        case "promote":
            return steps(now, handover(now, name, shown), "policy")
        case "send back":
            return steps(now, [(name, "CANDIDATE", {"cause": Gate(True, said.words)})], "policy")
        case "roll back":
            return steps(now, [(name, "ROLLED_BACK", {"cause": Gate(True, said.words)})], "policy")
        case _:
            return []
