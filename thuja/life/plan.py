"""The plan of a deployment: what is watched, when a model is renewed, what may change by itself, and who is told. Plain settings, no torch.

In the shape of a change plan: what may change (`alone`), how it is checked (`challenge`), whom it may affect and who is told (`tell`). What is not in `alone`
waits for a person.
"""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from thuja.settings import Auto, Seconds, Section, Share

Percent = Annotated[float, Field(gt=0, lt=1)]
YEAR = 365.25 * 86400
Change = Literal["retrain", "shadow", "canary", "promote", "rollback", "retire"]


def day(value: Any) -> Any:
    """A date as text, however YAML reads it; empty for none. Raises: ValueError for what is no date.

    >>> day(datetime.date(2027, 12, 31)), day("2027-12-31"), day("")
    ('2027-12-31', '2027-12-31', '')
    """
    if isinstance(value, str) and value:
        datetime.date.fromisoformat(value)
    return value.isoformat() if isinstance(value, datetime.date) else value


Day = Annotated[str, BeforeValidator(day)]


class Record(Section):
    """What the server keeps of its traffic."""

    inputs: Literal["none", "summary", "full"] = "summary"
    """Of a request: nothing, its share in hourly counts, or the row itself, which audits and retraining from traffic need."""
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of the answers that are kept, one by one."""
    most_per_second: PositiveInt = 50
    """Kept answers a second at most, whatever the traffic; each says how many it stands for."""
    keep: Seconds = 183 * 86400.0
    """How long kept answers last; half a year is what the EU's rules ask of logs at least."""
    file: Seconds = 3600.0
    """Time of which one file holds the answers: they are taken away file by file."""


class Audit(Section):
    """Which answers a person is asked about."""

    per_window: Annotated[int, Field(ge=0)] = 20
    """Answers a window."""
    uncertain: Share = 0.5
    """Share of them that goes to the least certain answers; the rest is drawn evenly, and alarms rest on that rest alone."""
    feedback: Literal["all", "some"] = "all"
    """Whether labels that are sent to the server come for all answers alike, so that alarms may rest on them, or for whichever somebody felt like."""


class Harm(Section):
    """When to raise an alarm."""

    window: Seconds = 86400.0
    """Time between two looks."""
    false_alarms_a_year: PositiveFloat = 1.0
    """Budget for all streams of this deployment together."""
    margin: Percent = 0.05
    """Loss above that of the reference with which a model is over: a loss of 1 is an answer that is wholly wrong."""
    groups: tuple[str, ...] = ()
    """Inputs by whose values the alarm is also raised: harm to a few hides in the mean of all."""
    fewest: PositiveInt = 5
    """Labels of a window, or it waits for more."""


class Renew(Section):
    """When to train a challenger."""

    calendar: Auto | Literal["never"] | Seconds = "auto"
    """Auto: the rhythm that the ageing test found cheapest."""
    on_alarm: bool = True
    on_forecast: bool = True
    """When the earliest end in ten (10 % quantile) is nearer than a training takes."""
    on_new_rows: PositiveInt | None = None
    """When so many labelled rows have come since the last training."""
    cost: PositiveFloat = 0.2
    """Of a training, in windows of answers that are all wrong: what makes rare renewal cheaper than frequent."""
    lead: Seconds = 86400.0
    """How long it takes from the wish for a new model to its first answer."""
    cool_down: Seconds = 7 * 86400.0
    """Least time between two trainings."""
    rows: Auto | PositiveInt = "auto"
    """Newest rows that are trained on; auto: all."""
    warm: bool = False
    """Go on from the champion's weights instead of from none."""


class Challenge(Section):
    """What a challenger has to show."""

    false_promotions: Percent = 0.05
    """Chance at most that one which is no better (or worse by more than the margin) is promoted."""
    margin: NonNegativeFloat = 0.01
    """Loss by which one that is younger may be worse."""
    fewest: PositiveInt = 200
    """Paired rows without which nothing is decided."""
    most: PositiveInt = 20_000
    """Paired rows after which a challenge without a result ends, and the champion stays."""
    canary: tuple[Percent | Literal[1], ...] = (0.01, 0.1, 0.5, 1)
    """Shares of the requests that it answers, one after the other."""
    step: Seconds = 3600.0
    """Least time at each share."""
    slower: PositiveFloat = 1.5
    """Times the champion's latency (p99) at most."""
    errors: Percent = 0.01
    """Share of failed requests at most."""


class Command(Section):
    """Run a program of the operator's; it reads the message as JSON from its standard input."""

    kind: Literal["command"] = "command"
    arguments: Annotated[tuple[str, ...], Field(min_length=1)]


class Webhook(Section):
    """POST the message as JSON."""

    kind: Literal["webhook"] = "webhook"
    url: str
    secret: str = ""
    """Name of the environment variable with the key by which the body is signed (HMAC-SHA256 in the header Thuja-Signature)."""


class Mail(Section):
    """Send an e-mail through an SMTP server."""

    kind: Literal["mail"] = "mail"
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    sender: str
    host: str
    port: PositiveInt = 587
    user: str = ""
    secret: str = ""
    """Name of the environment variable with the password."""


Tell = Annotated[Command | Webhook | Mail, Discriminator("kind")]


class Plan(Section):
    """The plan of a deployment (`plan.yaml`)."""

    record: Record = Record()
    audit: Audit = Audit()
    harm: Harm = Harm()
    renew: Renew = Renew()
    challenge: Challenge = Challenge()
    alone: tuple[Change, ...] = ("retrain", "shadow", "canary", "rollback")
    """What happens without a person. Promotion is left out unless you add it."""
    tell: tuple[Tell, ...] = ()
    """Who hears of faults, alarms, promotions and rollbacks."""
    owner: str = ""
    """Who answers for it: a name or an address, shown on the page."""
    ends: Day = ""
    """A date (2027-12-31) after which it must not answer: a licence, a consent, a law. Empty: none known."""
    registry: str = ""
    """URI of an MLflow tracking store; empty: none."""

    @property
    def threshold(self) -> float:
        """Of the alarm: so many windows are expected between two false ones, at least."""
        return max(2.0, YEAR / self.harm.window / self.harm.false_alarms_a_year)
