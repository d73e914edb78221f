"""MLflow as a projection: versions, aliases and losses of a deployment, written from its log for people who look there. Nobody here reads them back.

An alias in MLflow is set without saying what it was before, so the last writer wins: truth that lies there can be lost. So it lies in the ledger, and what
MLflow shows is compared with it and mended, as often as anybody likes; two times over changes nothing, and what was deleted is made again. The bytes that
MLflow writes are its own affair, not through `core.storage`: they are a copy, and a crash between any two of them is mended by the next projection.

MLflow may be down, locked or absent: `Mirror` tells of it once, and the life goes on. MLflow keeps a database open: one that is deleted under a running
process is made again by the next that is started.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from thuja.core.errors import DeploymentError, MissingExtra, StorageError, ThujaError
from thuja.core.storage import locked
from thuja.life.deployment import Deployment
from thuja.life.ledger import Event
from thuja.life.states import OVER, Standings, Version, fold

LOG = logging.getLogger(__name__)
SQLITE = "sqlite:///"
BATCH = 200
"""Looks whose figures are sent at once: MLflow takes 1,000 figures."""
PATIENCE = 2.0
"""Seconds that a locked database is waited for."""
QUIETLY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "WARNING",
           "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""What MLflow reads when it is loaded: it sends nobody usage figures, and gives up on a server that is down within seconds instead of minutes. What is set
already stays, but for the telemetry."""
DEPLOYMENT, VERSION, THROUGH = "thuja.deployment", "thuja.version", "thuja.through"


class Projected(NamedTuple):
    """What MLflow shows now."""

    model: str
    """The registered model's name."""
    versions: dict[str, str]
    """MLflow's number of each version of ours."""
    aliases: dict[str, str]
    """champion, challenger, previous: our version."""
    changes: int
    """What had to be written; 0 where all was there."""


@dataclass
class Mirror:
    """The projection of one deployment, refreshed after each tick. Never raises for what MLflow does, and tells once of each trouble."""

    deployment: Deployment
    uri: str
    _told: str = field(default="", repr=False)

    def refresh(self) -> Projected | None:
        """Bring MLflow up to date; None where it could not be, or where the plan names none."""
        if not self.uri:
            return None
        try:
            projected = project(self.deployment, self.uri)
        except ThujaError as error:
            if str(error) != self._told:
                LOG.warning("MLflow does not show what %s did; the ledger does: %s", self.deployment.path.name, error)
            self._told = str(error)
            return None
        self._told = ""
        return projected


def project(deployment: Deployment, uri: str) -> Projected:
    """Make MLflow at `uri` (sqlite:///mlflow.db, or a server's http address) show the deployment as its log has it.

    Raises: MissingExtra without mlflow; StorageError where MLflow cannot be reached or refuses; DeploymentError where the name there is another deployment's.
    """
    events = deployment.ledger.events()
    if not events:
        return Projected(_name(deployment), {}, {}, 0)
    client = _client(uri)
    with _alone(uri), _explained(uri):
        return _Writer(client, _name(deployment), events[0].hash).written(fold(events), events)


def _name(deployment: Deployment) -> str:
    """MLflow takes neither / nor : in a name."""
    return deployment.path.resolve().name.replace(":", "-")


def _client(uri: str) -> Any:
    if uri.startswith(SQLITE):
        _not_locked(uri, Path(uri.removeprefix(SQLITE)))
    for name, value in QUIETLY.items():
        if "TELEMETRY" in name:
            os.environ[name] = value
        os.environ.setdefault(name, value)
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtra("registry", expected="the package mlflow", found="none", fix="Type: pip install 'thuja[mlflow]'.") from error
    with _alone(uri), _explained(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _alone(uri: str) -> contextlib.AbstractContextManager[None]:
    """One projection at a time makes the tables of a database in a file, or a version in it; a server looks after itself."""
    if not uri.startswith(SQLITE):
        return contextlib.nullcontext()
    path = Path(uri.removeprefix(SQLITE))
    return locked(path.with_name(f"{path.name}.thuja.lock"))


def _not_locked(uri: str, path: Path) -> None:
    """MLflow tries a locked database for minutes. Raises: StorageError for one that cannot be written within PATIENCE seconds."""
    if not path.parent.is_dir():
        raise StorageError(uri, expected="a database in a folder that exists", found=f"no folder {path.parent}", fix="Make the folder, or name another.")
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StorageError(uri, expected="a database that can be written", found=str(error), fix="See who holds it, or whether it is one.") from error


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    """What MLflow and what is below it raise, as a StorageError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        found = str(error).strip().splitlines() or [type(error).__name__]
        raise StorageError(uri, expected="an MLflow store that takes what is written", found=found[0][:300],
                           fix="See that it runs and that the address is right; the next tick tries again.") from error


@dataclass
class _Writer:
    """Writes what differs, and counts it."""

    client: Any
    model: str
    identity: str
    """The hash of the deployment's first event: tells it from another of the same name."""
    changes: int = 0

    def written(self, now: Standings, events: Sequence[Event]) -> Projected:
        shown = self._model()
        runs, numbers = self._runs(now), self._versions()
        for name, version in now.versions.items():
            run = runs.get(name) or self._did(self.client.create_run(self._experiment(), start_time=_ms(version.born), run_name=f"{self.model} {name}",
                                                                     tags={DEPLOYMENT: self.identity, VERSION: name}))
            if name not in numbers:
                tags = {DEPLOYMENT: self.identity, VERSION: name}
                numbers[name] = self._did(self.client.create_model_version(self.model, self._source(name), run_id=run.info.run_id, tags=tags))
            self._tags(numbers[name], version)
            self._figures(run, [event for event in events if event.kind == "look" and event.version == name])
            self._ended(run, version)
        wanted = {"champion": now.champion, "challenger": now.beside, "previous": now.previous}
        aliases = {alias: version for alias, version in wanted.items() if version}
        self._aliases(shown.aliases, {alias: str(numbers[version].version) for alias, version in aliases.items()})
        return Projected(self.model, {name: str(numbers[name].version) for name in now.versions}, aliases, self.changes)

    def _source(self, name: str) -> str:
        """An address that is not one of MLflow's, which would look for files there: the artefact is in the deployment, and its digest in a tag."""
        return f"thuja://{quote(self.model)}/{quote(name)}"

    def _did(self, made: Any) -> Any:
        self.changes += 1
        return made

    def _model(self) -> Any:
        """The registered model. Raises: DeploymentError for another deployment's."""
        from mlflow.exceptions import MlflowException

        try:
            shown = self.client.get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            shown = self._did(self.client.create_registered_model(self.model, tags={DEPLOYMENT: self.identity}))
        if shown.tags.get(DEPLOYMENT) != self.identity:
            raise DeploymentError(f"registry: {self.model}", expected="a name that is free, or this deployment's", found="another's",
                                  fix="Give the deployment's folder another name, or delete the model in MLflow.")
        return shown

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.model)
        if found is not None and found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id if found is not None else self._did(self.client.create_experiment(self.model)))

    def _runs(self, now: Standings) -> dict[str, Any]:
        """The runs of our versions that nobody has deleted."""
        query = f"tags.`{DEPLOYMENT}` = '{self.identity}'"
        found = self.client.search_runs([self._experiment()], query, max_results=max(100, 2 * len(now.versions)), order_by=["attributes.start_time DESC"])
        return {run.data.tags[VERSION]: run for run in found if VERSION in run.data.tags}

    def _versions(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self.client.search_model_versions(f"name = '{self.model}'", page_token=token, order_by=["version_number ASC"])
            found |= {shown.tags[VERSION]: shown for shown in page if shown.tags.get(DEPLOYMENT) == self.identity}
            token = page.token
            if not token:
                return found

    def _tags(self, shown: Any, version: Version) -> None:
        for key, value in tags(version).items():
            if shown.tags.get(key) != value:
                self._did(self.client.set_model_version_tag(self.model, shown.version, key, value))

    def _figures(self, run: Any, looks: Sequence[Event]) -> None:
        """What each look found, by the event's number. The tag that says how far comes after them: what was sent twice is there once, as MLflow keeps one
        figure for a key, a step and a time."""
        from mlflow.entities import Metric, RunTag

        through = int(run.data.tags.get(THROUGH, 0))
        fresh = [event for event in looks if event.number > through]
        for start in range(0, len(fresh), BATCH):
            some = fresh[start : start + BATCH]
            figures_of = [Metric(key, value, _ms(event.at), event.number) for event in some for key, value in figures(event.body).items()]
            self._did(self.client.log_batch(run.info.run_id, metrics=figures_of))
            self.client.log_batch(run.info.run_id, tags=[RunTag(THROUGH, str(some[-1].number))])

    def _ended(self, run: Any, version: Version) -> None:
        over = version.standing in OVER
        if over != (run.info.status == "FINISHED"):
            self._did(self.client.set_terminated(run.info.run_id, "FINISHED", _ms(version.since)) if over else
                      self.client.update_run(run.info.run_id, status="RUNNING"))

    def _aliases(self, shown: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
        """Ours, and no others' : an alias that somebody else made is left alone."""
        for alias in ("champion", "challenger", "previous"):
            there = str(shown[alias]) if alias in shown else None
            if alias not in wanted and there is not None:
                self._did(self.client.delete_registered_model_alias(self.model, alias))
            elif alias in wanted and wanted[alias] != there:
                self._did(self.client.set_registered_model_alias(self.model, alias, wanted[alias]))


def tags(version: Version) -> dict[str, str]:
    """What is shown of a version: where it stands, which artefact it is, and the plain facts that were told when it came."""
    facts = {f"thuja.{name}": str(value) for name, value in version.facts.items()
             if isinstance(value, (str, int, float)) and name not in ("digest", "standing") and value != ""}
    return {"thuja.standing": version.standing, "thuja.digest": version.digest} | {name: text[:500] for name, text in facts.items()}


def figures(look: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a look that make a curve."""
    quantiles = look["forecast"]["quantiles"]
    found = {"loss": look["loss"], "labels": look["labels"], "requests": look["requests"], "alarm_statistic": look["statistic"],
             "estimated_loss": look["estimated"], "windows_left_median": None if quantiles is None else quantiles[1]}
    return {name: float(value) for name, value in found.items() if value is not None}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
