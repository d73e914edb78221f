"""The verb `watch`: it does what is due, trains in a process of its own when that is wished and allowed, one at a time, and goes on living when it fails."""

import subprocess
import sys
import threading

import pytest
import shops
import toys
from shops import DAY, begin, live, say

from thuja.core.errors import TrainError
from thuja.life.conduct import QUIET_S
from thuja.life.deployment import Deployment
from thuja.life.plan import Plan, Renew
from thuja.verbs.watch import Watcher, train, watch, wish

WISHED = Plan(renew=Renew(calendar=1.0, cool_down=3600.0))
CHILD = """
import sys
from pathlib import Path
from thuja.core.errors import TrainError
from thuja.verbs.watch import train
{work}
train(Path(sys.argv[1]), work, clock=lambda: {now})
"""


def wishing(tmp_path, plan=WISHED):
    """A deployment whose calendar asks for a training."""
    deployment = begin(tmp_path / "shop", plan)
    live(deployment, 1)
    return deployment


def child(deployment, work):
    return (sys.executable, "-c", CHILD.format(work=work, now=deployment.clock()))


def outcomes(deployment):
    return [(event.version, event.body["outcome"]) for event in deployment.ledger.events() if event.kind == "training"]


def run(watcher):
    """Turn until the training that was begun has ended."""
    watcher.turn()
    assert watcher._child is not None
    watcher._child.wait(60)
    return watcher.turn()


def test_a_wish_stands_until_it_is_answered_or_has_failed(tmp_path):
    deployment = wishing(tmp_path)
    now, events = deployment.clock(), deployment.ledger.events()
    assert wish(WISHED, events, now).endswith("the calendar says 0.0")
    assert not wish(Plan(alone=()), events, now) and not wish(WISHED, events[:-1], now)
    say(deployment, "training", outcome="failed", words="no rows")
    assert not wish(WISHED, deployment.ledger.events(), now + 3599) and wish(WISHED, deployment.ledger.events(), now + 3600)
    shops.add(deployment)
    assert not wish(WISHED, deployment.ledger.events(), now + 3600)


def test_a_training_is_written_down_with_what_came_of_it(tmp_path):
    deployment = wishing(tmp_path)
    train(deployment.path, shops.add, clock=deployment.clock)
    assert outcomes(deployment) == [("", "began"), ("2", "trained")]
    train(deployment.path, lambda _: pytest.fail("nobody wishes it any more"), clock=deployment.clock)
    assert outcomes(deployment) == [("", "began"), ("2", "trained")]


def test_a_training_that_fails_is_written_down(tmp_path):
    deployment = wishing(tmp_path)

    def broken(_: Deployment) -> str:
        raise TrainError("train", expected="a finite loss", found="nan", fix="Lower the rate.")

    train(deployment.path, broken, clock=deployment.clock)
    assert deployment.ledger.events()[-1].body == {"outcome": "failed", "words": "train: expected a finite loss, found nan. Lower the rate."}


def test_two_who_wish_at_once_train_once(tmp_path):
    deployment = wishing(tmp_path)
    trained = []

    def work(own: Deployment) -> str:
        trained.append(1)
        own.kinds = deployment.kinds
        return shops.add(own)

    threads = [threading.Thread(target=train, args=(deployment.path, work, deployment.clock)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(trained) == 1 and outcomes(deployment) == [("", "began"), ("2", "trained")]


@pytest.mark.parametrize(("work", "words"), [
    ("def work(_): raise TrainError('train', expected='rows', found='none')", "train: expected rows, found none."),
    ("def work(_): raise ZeroDivisionError('a defect')", "ZeroDivisionError: a defect"),
    ("def work(_):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)", "it was ended by signal 9")])
def test_however_a_training_ends_badly_watching_goes_on(tmp_path, work, words):
    deployment = wishing(tmp_path)
    watcher = Watcher(deployment, training=True, command=child(deployment, work))
    turn = run(watcher)
    assert outcomes(deployment) == [("", "began"), ("", "failed")] and deployment.ledger.events()[-1].body["words"] == words
    assert turn.board.history[0].words == f"A training came to nothing: {words.rstrip('.')}." and not turn.trouble
    watcher.turn()
    assert watcher._child is None, "not again before the cool-down is over"
    deployment.clock.now += 3600
    watcher.turn()
    assert watcher._child is not None
    watcher.close()


def test_nothing_is_trained_unasked(tmp_path):
    for place, plan, training in (("a", WISHED, False), ("b", Plan(alone=(), renew=WISHED.renew), True)):
        watcher = Watcher(wishing(tmp_path / place, plan), training)
        watcher.turn()
        assert watcher._child is None


def test_who_leaves_ends_the_training_that_runs(tmp_path):
    deployment = wishing(tmp_path)
    watcher = Watcher(deployment, training=True, command=child(deployment, "def work(_):\n    import time\n    time.sleep(600)"))
    watcher.turn()
    running = watcher._child
    while not outcomes(deployment):  # it has the lock, and has said so
        assert running.poll() is None
    watcher.close()
    assert running.returncode < 0 and outcomes(deployment) == [("", "began"), ("", "failed")]


def test_turns_look_when_it_is_time_and_count_the_queue(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(record={"inputs": "full"}))
    watcher = Watcher(deployment)
    assert watcher.turn().board.vital.window is None
    deployment.clock.now += DAY
    turn = watcher.turn()
    assert turn.board.vital.window is not None and turn.board.labels.waiting == 0


def test_a_challenge_that_a_server_carries_on_is_left_to_it(tmp_path):
    deployment = begin(tmp_path / "shop")
    shops.through(deployment, shops.add(deployment), "TRAINED", "CANDIDATE", "SHADOW")
    watcher = Watcher(deployment)

    def carried() -> int:
        return sum(event.kind == "comparison" for event in deployment.ledger.events())

    for turns in (1, 2, 3):
        watcher.turn()
        deployment.clock.now += QUIET_S
        assert carried() == turns, "alone, it does so itself"
    server = Watcher(Deployment.open(deployment.path, deployment.clock))
    server.deployment.kinds = toys.KINDS
    server.turn()
    watcher.turn()
    assert carried() == 4
    deployment.clock.now += QUIET_S + 120
    watcher.turn()
    assert carried() == 5, "the server has gone"


def test_trouble_is_shown_and_the_next_turn_tries_again(tmp_path):
    path = begin(tmp_path / "shop").path / "ledger.log"
    good = path.read_bytes()
    path.write_bytes(b"x" + good[1:])
    watcher = Watcher(Deployment.open(path.parent, shops.Clock()))
    watcher.deployment.kinds = toys.KINDS
    turn = watcher.turn()
    assert "ledger.log" in turn.trouble and turn.board.trouble
    path.write_bytes(good)
    assert not watcher.turn().trouble


def test_interrupting_leaves_cleanly(tmp_path):
    shown = []

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    watch(begin(tmp_path / "shop"), shown.append, wait=interrupted)
    assert len(shown) == 1
    waits = iter([None, None])
    with pytest.raises(StopIteration):
        watch(Deployment.open(tmp_path / "shop"), shown.append, every=5.0, wait=lambda seconds: next(waits))
    assert len(shown) == 4


def test_the_command_that_trains_is_one_that_python_can_run(tmp_path):
    deployment = begin(tmp_path / "shop")  # nothing is wished, so it ends at once
    assert subprocess.run([*Watcher(deployment).command, deployment.path], check=False, timeout=120).returncode == 0
