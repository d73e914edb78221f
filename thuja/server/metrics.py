"""What the server counts, in Prometheus' text form; a registry of its own, so that two servers in one process do not mix."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("thuja_requests", "Answers by route and status.", ("route", "status"), registry=self.registry)
        self.seconds = Histogram("thuja_request_seconds", "Time from request to answer.", ("route",), buckets=SECONDS, registry=self.registry)
        self.rejected = Counter("thuja_rejected", "Requests refused, by status.", ("status",), registry=self.registry)
        self.rows = Counter("thuja_rows", "Rows run through the model.", registry=self.registry)
        self.batch = Histogram("thuja_batch_rows", "Rows run at once.", buckets=ROWS, registry=self.registry)
        self.streams = Gauge("thuja_streams", "Answers that are being streamed.", registry=self.registry)
        self.streams_ended = Counter("thuja_streams_ended", "Streamed answers, by how they ended: whole, left (by the client), cut.", ("how",),
                                     registry=self.registry)
        self.first_event = Histogram("thuja_first_event_seconds", "Time from a question to the first event of its answer.", buckets=SECONDS,
                                     registry=self.registry)
        self.swaps = Counter("thuja_swaps", "Changes to another artefact, by result.", ("result",), registry=self.registry)
        self.model = Info("thuja_model", "The artefact in service.", registry=self.registry)
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._waiting = Gauge("thuja_rows_waiting", "Rows that wait for the model.", registry=self.registry)
        self._admitted = Gauge("thuja_rows_admitted", "Rows admitted and not yet answered.", registry=self.registry)
        self._ready = Gauge("thuja_ready", "1 if the last readiness check passed and the server is not draining.", registry=self.registry)

    def watch(self, waiting: Callable[[], float], admitted: Callable[[], float], ready: Callable[[], float]) -> None:
        """Read these gauges when somebody looks."""
        self._waiting.set_function(waiting)
        self._admitted.set_function(admitted)
        self._ready.set_function(ready)

    def observe_batch(self, rows: int) -> None:
        """Count a batch."""
        self.batch.observe(rows)
        self.rows.inc(rows)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        counter, histogram = self._series.get((route, status)) or self._begin(route, status)
        counter.inc()
        histogram.observe(seconds)
        if status in (401, 408, 413, 421, 429, 503, 504):
            self.rejected.labels(str(status)).inc()

    def _begin(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """The series of a route and a status, looked up by their labels once."""
        self._series[route, status] = series = self.requests.labels(route, str(status)), self.seconds.labels(route)
        return series

    def life(self) -> "LifeMetrics":
        """Counters of a deployment that is served; made once."""
        return LifeMetrics(self.registry)

    def render(self) -> bytes:
        """The text a scraper reads."""
        return generate_latest(self.registry)


class LifeMetrics:
    """What a server counts of the deployment that it serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.kept = Counter("thuja_calls_kept", "Answers that were recorded.", registry=registry)
        self.lost = Counter("thuja_calls_lost", "Answers that were drawn to be recorded, and could not be.", registry=registry)
        self.shade = Counter("thuja_shade", "Questions for the version beside the champion, by what became of them: answered, failed, dropped.", ("result",),
                             registry=registry)
        self.labels = Counter("thuja_labels", "Labels that came, by what became of them: kept, unknown (the answer is not here), refused.", ("result",),
                              registry=registry)
        self.answers = Counter("thuja_version_answers", "Requests that a version answered, seen or in the shade.", ("version",), registry=registry)
        self.failures = Counter("thuja_version_failures", "Requests that a version beside the champion could not answer, and the champion could.", ("version",),
                                registry=registry)
        self.share = Gauge("thuja_canary_share", "Share of the requests that goes to the version in CANARY.", registry=registry)
        self.versions = Gauge("thuja_version", "1 for every version that is loaded, by what it does here: answers, canary, shadow, warm.", ("version", "role"),
                              registry=registry)
        self.trouble = Gauge("thuja_life_trouble", "1 where something beside the answers goes wrong: the log says what.", ("part",), registry=registry)

    def troubled(self, part: str, trouble: bool) -> None:
        """Whether there is trouble with a part of the work beside the answers."""
        self.trouble.labels(part).set(trouble)

    def standing(self, roles: Mapping[str, str], share: float) -> None:
        """What each loaded version does."""
        self.versions.clear()
        for version, role in roles.items():
            self.versions.labels(version, role).set(1)
        self.share.set(share)
