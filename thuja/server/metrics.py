"""What the server counts, in Prometheus' text form; a registry of its own, so that two servers in one process do not mix."""

from collections.abc import Callable

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

    def render(self) -> bytes:
        """The text a scraper reads."""
        return generate_latest(self.registry)
