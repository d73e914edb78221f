"""What benchmarks share: figures of a model in service."""

import numpy as np
import toys
from torch import nn

from benchmarks import served
from thuja.data.objects import from_object


def test_a_model_in_service_has_a_size_and_a_time() -> None:
    found = served.in_service(toys.words(), nn.Linear(3, 2), toys.OPTIONS)
    assert set(found) == {"parameters", "artifact_mb", "p50_ms", "p95_ms", "calls", "load"}
    assert found["parameters"] == 8 and found["artifact_mb"] > 0
    assert 0 < found["p50_ms"] <= found["p95_ms"] and found["calls"] >= served.LEAST


def test_what_is_asked_is_what_a_server_is_asked() -> None:
    trained = toys.words()
    source = trained.test.source
    assert served.asked(trained)["message"] == source.take(np.arange(len(source)))["message"]
    other = from_object({"message": ["as asked"]})
    assert served.asked(trained._replace(asked=other))["message"] == ["as asked"]
