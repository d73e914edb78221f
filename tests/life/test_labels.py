"""Labels: late, twice, contradicting, early, for nobody; and how long they take."""

import numpy as np
import pytest

from thuja.life.calls import Call
from thuja.life.labels import Label, Labels, coverage, delays, join


def call(name, at=100.0, **more):
    return Call(name, at, "1", None, {"label": "a"}, 0.3, 1.0, **more)


def test_what_counts_and_what_does_not():
    calls = [call("a"), call("b"), call("c"), call("shade", shade=True)]
    labels = [Label("a", 150.0, {"label": "x"}), Label("a", 160.0, {"label": "x"}), Label("b", 150.0, {"label": "x"}), Label("b", 170.0, {"label": "y"}),
              Label("c", 99.0, {"label": "x"}), Label("nobody", 150.0, {"label": "x"}), Label("shade", 150.0, {"label": "x"})]
    counted = join(calls, labels)
    assert [(j.call.id, j.label.truth["label"]) for j in counted.joined] == [("a", "x"), ("b", "y")]
    assert dict(coverage(counted, 3)) == {"labelled": 2, "share": 2 / 3, "unknown": 2, "repeated": 1, "contradicted": 1, "early": 1}
    assert coverage(join([], []), 0)["share"] == 0.0


def test_what_was_counted_before_is_not_counted_again():
    calls = [call("a"), call("b"), call("c")]
    again = [Label("a", 150.0, {"label": "x"}), Label("b", 150.0, {"label": "y"}), Label("c", 150.0, {"label": "z"})]
    counted = join(calls, again, {"a": {"label": "x"}, "b": {"label": "x"}})
    assert [joined.call.id for joined in counted.joined] == ["c"] and (counted.repeated, counted.contradicted) == (1, 1)


def test_labels_are_kept_in_the_order_in_which_they_came(tmp_path):
    labels = Labels(tmp_path / "labels")
    labels.add([Label("a", 1.0, {"label": "x"}, by="ada"), Label("b", 2.0, {"value": 2.5}, evenly=False)], came=10.0)
    Labels(tmp_path / "labels").add([Label("a", 3.0, {"label": None})], came=20.0)
    path = tmp_path / "labels" / "0.log"
    path.write_bytes(path.read_bytes()[:-5])
    again = Labels(tmp_path / "labels")
    assert [label.call for label in again.between(0, 100)] == ["a", "b"]
    again.add([Label("c", 4.0, {})], came=30.0)
    assert [label.call for label in again.between(0, 100)] == ["a", "b", "c"] and again.between(0, 100)[1].evenly is False
    assert [label.call for label in again.between(20, 40)] == ["c"]


def test_the_delay_counts_those_that_are_still_to_come():
    rng = np.random.default_rng(0)
    calls = [call(str(i), at=float(at)) for i, at in enumerate(rng.uniform(0, 1000, 800))]
    late = rng.exponential(300, 800)
    labels = [Label(c.id, c.at + d, {}) for c, d in zip(calls, late, strict=True) if c.at + d <= 1000]
    found = delays(calls, labels, now=1000.0)
    assert found is not None and found.quantile(0.5) == pytest.approx(300 * np.log(2), rel=0.15)  # the labels that came have a median of some 130
    assert delays([], labels, 1000.0) is None
