"""Control carried the whole way, on few steps of play."""

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import thuja
from thuja.apps.control import environments, ppo
from thuja.apps.control.codec import ControlCodec, Spaces
from thuja.apps.control.dqn import Dqn
from thuja.apps.control.ppo import Ppo
from thuja.apps.control.sac import Sac
from thuja.apps.control.task import Control, Pixels
from thuja.artifact.runtime import Predictor
from thuja.codec import count
from thuja.core.errors import ArtifactError, BadRows, DataError, SpecError
from thuja.data.source import open_source
from thuja.models.policy import ActionValues, ActorCritic, PolicyCnn, PolicyMlp
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings
from thuja.settings import Data, Train
from thuja.spec import Spec, read
from thuja.task import Part
from thuja.testing import check_codec, check_task
from thuja.training import checkpoint
from thuja.training.loop import State, begin, steps
from thuja.verbs.init import init

SMALL = PolicyMlp(width=16, depth=1)
PPO = Ppo(environments=4, length=16, body=SMALL, stretch=32)
DQN = Dqn(environments=2, warm=8, remembered=64, follow=4, explore=100, body=SMALL)
SAC = Sac(warm=8, remembered=64, batch=16, body=PolicyMlp(width=16, activation="relu"))


def rows(environment: str, size: int, limit: float = 1.0) -> dict[str, list[Any]]:
    """Seeds with observations of the right length beside them."""
    rng = np.random.default_rng(0)
    return {"seed": list(range(24)), "observation": rng.uniform(-limit, limit, (24, size)).tolist()}


@pytest.mark.parametrize(("environment", "size", "algorithm"), [
    ("CartPole-v1", 4, PPO), ("CartPole-v1", 4, DQN), ("Pendulum-v1", 3, PPO), ("Pendulum-v1", 3, SAC)])
def test_the_contract(environment: str, size: int, algorithm: Any) -> None:
    check_task(Control(environment=environment, algorithm=algorithm, timesteps=1000), rows(environment, size))


def settled(task: Control) -> tuple[Control, ControlCodec, Any]:
    sources = open_source(Data(path=task.environment, format="episodes"))
    task, codec = task.prepare(sources["train"])
    return task, codec, codec.encode(sources["train"].take(np.arange(50)))


def run(task: Control, codec: ControlCodec, columns: Any, train: Train, state: State, until: int) -> State:
    for step in steps(task, state, columns, train):
        if step.number == until:
            break
    return state


@pytest.mark.parametrize(("task", "stops"), [
    (Control(environment="CartPole-v1", algorithm=PPO), (3, 16, 41)),
    (Control(environment="CartPole-v1", algorithm=PPO, backend="gymnasium"), (23,)),
    (Control(environment="CartPole-v1", algorithm=DQN), (1, 37)),
    (Control(environment="Pendulum-v1", algorithm=SAC), (1, 37)),
    (Control(environment="Acrobot-v1", algorithm=DQN), (29,)),
])
def test_a_run_is_taken_up_at_any_step_to_the_same_bits(task: Control, stops: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a rollout, of a stretch, of an episode: weights, memory and where the environments are."""
    monkeypatch.setattr("thuja.apps.control.replay.STRETCH", 20)
    task, codec, columns = settled(task)
    train = Train(steps=60, batch=16, device="cpu", warmup=0.0, schedule="constant")
    whole = run(task, codec, columns, train, begin(task, codec, train), 60)
    for stop in stops:
        half = run(task, codec, columns, train, begin(task, codec, train), stop)
        checkpoint.save(tmp_path / str(stop), half, {})
        fresh = begin(task, codec, train)
        checkpoint.restore(tmp_path / str(stop), fresh)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(task, codec, columns, train, fresh, 60)
        ended, wanted = fresh.model.state_dict(), whole.model.state_dict()
        assert [name for name in wanted if not torch.equal(wanted[name], ended[name])] == []
        assert [name for name in whole.memory if not torch.equal(whole.memory[name], fresh.memory[name])] == []


def test_a_checkpoint_with_another_memory_is_refused(tmp_path: Path) -> None:
    train = Train(steps=4, batch=8, device="cpu", warmup=0.0, schedule="constant")
    task, codec, columns = settled(Control(environment="CartPole-v1", algorithm=DQN))
    checkpoint.save(tmp_path, run(task, codec, columns, train, begin(task, codec, train), 2), {})
    other, codec, _ = settled(Control(environment="CartPole-v1", algorithm=DQN.model_copy(update={"remembered": 32})))
    with pytest.raises(ArtifactError, match="expected the weights of this model, found those of another"):
        checkpoint.restore(tmp_path, begin(other, codec, train))


def test_an_environment_that_does_not_repeat_itself_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With other seeds than before, what is rebuilt is not what was there: the run says so, and goes on."""
    task, codec, columns = settled(Control(environment="CartPole-v1", algorithm=PPO))
    train = Train(steps=40, batch=16, device="cpu", warmup=0.0, schedule="constant")
    state = run(task, codec, columns, train, begin(task, codec, train), 10)
    with pytest.warns(RuntimeWarning, match="CartPole-v1 does not do the same when the same is done"):
        run(task, codec, {"seed": columns["seed"] + 1}, train, state, 40)


def test_advantages_follow_the_definition() -> None:
    """Against the sum of discounted surprises, written out; nothing crosses the end of an episode, and what is cut off still counts what came after."""
    rng = np.random.default_rng(0)
    reward, value, after = (rng.normal(size=(12, 3)).astype(np.float32) for _ in range(3))
    ended = rng.random((12, 3)) < 0.3
    over = ended & (rng.random((12, 3)) < 0.5)
    found = ppo.advantages(reward, value, after, ended, over, (0.9, 0.8))
    for start in range(12):
        for world in range(3):
            total, weight = 0.0, 1.0
            for t in range(start, 12):
                total += weight * (reward[t, world] + 0.9 * after[t, world] * (not over[t, world]) - value[t, world])
                if ended[t, world]:
                    break
                weight *= 0.9 * 0.8
            assert abs(found[start, world] - total) < 1e-4


def test_actions_are_drawn_by_their_probabilities() -> None:
    model = ActorCritic(SMALL, (4,), 3, True)
    logits = torch.tensor([2.0, 1.0, 0.0]).repeat(20000, 1)
    drawn = ppo.drawn(model, logits, torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.bincount(drawn) / 20000, logits[0].softmax(0), rtol=0, atol=0.01)


def test_chances_are_torchs() -> None:
    model = ActorCritic(SMALL, (4,), 2, False)
    with torch.no_grad():
        model.log_std.copy_(torch.tensor([0.3, -0.5]))  # type: ignore[union-attr]
    mean, action = torch.randn(6, 2), torch.randn(6, 2)
    theirs = torch.distributions.Normal(mean, model.log_std.exp())  # type: ignore[union-attr]
    chance, entropy = ppo.chances(model, mean, action)
    torch.testing.assert_close(chance, theirs.log_prob(action).sum(1))
    torch.testing.assert_close(entropy, theirs.entropy().sum(1))


def test_deep_q_learning_aims_at_what_the_definition_says() -> None:
    torch.manual_seed(0)
    model = ActionValues(SMALL, (4,), 2)
    for parameter in model.target.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    batch = {"before": torch.randn(5, 4), "action": torch.tensor([0, 1, 1, 0, 1]), "reward": torch.randn(5), "after": torch.randn(5, 4),
             "over": torch.tensor([False, True, False, False, True])}
    total = 0.0
    for i in range(5):
        best = int(model(batch["after"][i : i + 1]).argmax())
        target = float(batch["reward"][i]) + (0.0 if batch["over"][i] else 0.99 * float(model.target(batch["after"][i : i + 1])[0, best].detach()))
        apart = abs(float(model(batch["before"][i : i + 1])[0, int(batch["action"][i])].detach()) - target)
        total += 0.5 * apart**2 if apart < 1 else apart - 0.5
    assert abs(float(DQN.loss(model, batch).total) - total / 5) < 1e-5


def test_the_temperature_rises_where_the_actor_is_too_decided() -> None:
    model = SAC.build(Spaces(environment="x", shape=(3,), lowest=(-1.0,), highest=(1.0,)))
    batch = {"before": torch.randn(64, 3), "action": torch.zeros(64, 1)}
    for bias, sign in ((-30.0, -1), (0.3, 1)):
        torch.nn.init.constant_(model.head.bias[1:], bias)
        model.zero_grad()
        SAC.actor_loss(model, batch, torch.Generator().manual_seed(0)).total.backward()
        assert np.sign(float(model.log_temperature.grad)) == sign  # type: ignore[arg-type]  # descent raises it where the gradient is negative


def test_random_actions_become_rare() -> None:
    dqn = Dqn(environments=2, explore=100, least=0.1)
    assert [round(dqn.rarity(step), 3) for step in (0, 25, 50, 500)] == [1.0, 0.55, 0.1, 0.1]


def codec(pixels: bool = False) -> ControlCodec:
    spaces = Spaces(environment="CartPole-v1", shape=(2, 8, 6) if pixels else (4,), names=("left", "right"), wanted=475.0)
    return ControlCodec(spaces=spaces, low=() if pixels else (-1.0,) * 4, high=() if pixels else (1.0,) * 4)


def test_rows_are_episodes_or_observations() -> None:
    check_codec(codec(), {"observation": rows("CartPole-v1", 4)["observation"]})
    columns = codec().encode({"seed": [3.0, 2**32 - 1]})
    assert columns["seed"].tolist() == [3, 2**32 - 1] and columns["seed"].dtype == np.int64  # type: ignore[union-attr]
    assert columns["return"].tolist() == [475.0, 475.0]  # type: ignore[union-attr]
    pixels = np.arange(96, dtype=np.uint8).reshape(16, 6)
    encoded = codec(pixels=True).encode({"observation": [pixels]})["observation"]
    np.testing.assert_array_equal(encoded[0, :, :, 0], pixels)  # type: ignore[index]


@pytest.mark.parametrize(("given", "said"), [
    ({"seed": [1, 2.5]}, "rows[1].seed: expected a whole number from 0 to 4294967295, found 2.5. Give every episode a seed."),
    ({"seed": [None]}, "rows[0].seed: expected a whole number from 0 to 4294967295, found None. Give every episode a seed."),
    ({"seed": [-1]}, "rows[0].seed: expected a whole number from 0 to 4294967295, found -1. Give every episode a seed."),
    ({"observation": [[0.0] * 4, [0.0] * 3]}, "rows[1].observation: expected 4 numbers, found 3. "
     "Send one observation, whole, in the order of the environment."),
    ({"observation": [[0.0, 0.0, float("inf"), 0.0]]}, "rows[0].observation[2]: expected a finite number, found inf. Send what was measured."),
])
def test_rows_that_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRows) as error:
        codec().encode(given)
    assert str(error.value) == said


def test_data_without_seeds_are_refused() -> None:
    source = open_source(Data(), object={"start": [1.0, 2.0]})["all"]
    with pytest.raises(DataError) as error:
        Control(environment="CartPole-v1").prepare(source)
    assert str(error.value) == "seed: expected a column with the seeds of episodes, found 1 others. Choose from: start."


def test_an_environment_that_goes_wrong_stops_the_run_with_its_name(tmp_path: Path) -> None:
    class Wrong(gymnasium.Env[Any, Any]):
        observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)
        steps = 0

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            return np.zeros(2, np.float32), {}

        def step(self, action: Any) -> Any:
            Wrong.steps += 1
            return np.zeros(2, np.float32), float("nan") if Wrong.steps > 2500 else 1.0, False, False, {}

    gymnasium.registry.pop("Wrong-v1", None)
    environments.register("Wrong-v1", Wrong, limit=20)
    spec = Spec(task=Control(environment="Wrong-v1", algorithm=PPO), data=Data(path="Wrong-v1", format="episodes"), train=Train(steps=200, watch=False))
    with pytest.raises(DataError, match=r"^Wrong-v1: reward: expected finite numbers, found nan, \d+ steps after it began from seed \d+\. Correct the "):
        thuja.train(spec, root=tmp_path)


def end_to_end(task: Control, train: Train, folder: Path) -> tuple[Any, Any, Predictor]:
    spec = Spec(task=task, data=Data(path=task.environment, format="episodes"), train=train)
    made = thuja.train(spec, root=folder / "runs")
    scores = thuja.evaluate(made)
    return made, scores, Predictor(thuja.export(made))


def test_cart_pole_from_its_name_to_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` knows the name; a policy is learned that keeps the pole up, judged with intervals beside random actions, drawn, exported and asked."""
    monkeypatch.chdir(tmp_path)
    path, notes = init("CartPole-v1")
    assert "is no file, but an environment of gymnasium" in notes[0]
    guessed = read(path)
    assert guessed.task == Control(environment="CartPole-v1") and guessed.data.format == "episodes"
    made, scores, predictor = end_to_end(Control(environment="CartPole-v1", timesteps=40_960), Train(evaluate_every=80, seed=3), tmp_path)
    mean = scores.metrics["mean_return"]
    assert scores.count == 100 and mean.value > 400 and (mean.low is None or mean.low <= mean.value <= mean.high)
    assert scores.baseline is not None and scores.baseline.metrics["mean_return"].value < 40 and scores.difference["mean_return"].low > 300
    report = (made.path / "report.html").read_text()
    assert report.count("data:image/png") >= 8 and "step 0" in report and "random actions" in report
    answers = predictor.predict({"observation": [[0.0, 0.0, 0.2, 1.0], [0.0, 0.0, -0.2, -1.0]]})
    assert answers["action"] == ["right", "left"]
    with torch.no_grad():
        seen = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
        settled_spec = Spec[Control].model_validate(made.spec_data())
        model = settled_spec.task.build(made.codec())
        checkpoint.load_model(made.best_checkpoint(), model)
        wanted = settled_spec.task.programs(model.eval(), made.codec())["predict"].module(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(predictor.run({"observation": seen})["probability"], wanted, atol=1e-5)
    assert "memory" not in json.dumps([f.name for f in predictor.artifact.path.iterdir()])
    with TestClient(create_app(predictor.artifact.path, ServeSettings()), base_url="http://127.0.0.1") as client:
        assert client.post("/predict", json={"observation": [0.0, 0.0, 0.2, 1.0]}).json()["action"] == "right"
        refused = client.post("/predict", json={"observation": [0.0, 0.0, 0.2]})
        assert refused.status_code == 422 and {name: refused.json()[name] for name in ("where", "expected", "found", "fix")} == {
            "where": "observation", "expected": "4 numbers", "found": "3", "fix": "Send one observation, whole, in the order of the environment."}
        form = client.get("/").text
        assert 'data-kind="series" data-least="4" data-most="4"' in form and "4 numbers, with spaces between them" in form


@pytest.mark.parametrize("task", [
    Control(environment="CartPole-v1", algorithm=DQN), Control(environment="Pendulum-v1", algorithm=SAC),
    Control(environment="CartPole-v1", observe="pixels", pixels=Pixels(frames=2), algorithm=Ppo(environments=2, length=8, body=PolicyCnn(channels=4, width=8))),
], ids=["dqn", "sac", "pixels"])
def test_every_kind_is_exported_and_asked(task: Control, tmp_path: Path) -> None:
    spec = Spec(task=task, data=Data(), train=Train(steps=6, evaluate_every=6))
    data = {part: {"seed": list(range(first, first + 3))} for part, first in (("train", 0), ("validation", 10), ("test", 20))}
    made = thuja.train(spec, data=data, root=tmp_path)
    assert set(thuja.evaluate(made, data=data).metrics) >= {"mean_return", "median_return", "episode_length"}
    predictor = Predictor(thuja.export(made, data=data))
    field = predictor.schema.inputs["observation"]
    answers = predictor.predict({"observation": field.fake(np.random.default_rng(0), 3)})
    for name, output in predictor.schema.outputs.items():
        for value in answers[name]:
            output.check(value, name)
    assert count(made.codec().encode({"seed": [1]})) == 1


def test_a_policy_is_judged_by_the_same_episodes_every_time() -> None:
    task, codec_, _ = settled(Control(environment="CartPole-v1", algorithm=PPO))
    model = begin(task, codec_, Train(steps=1, batch=8, device="cpu")).model
    judge = task.programs(model.eval(), codec_)["play"].module
    first, again = judge(torch.arange(90)), judge(torch.arange(90).flip(0))
    torch.testing.assert_close(first[0], again[0].flip(0))
    assert torch.equal(first[0].long(), first[1])
    source = open_source(Data(path="CartPole-v1", format="episodes"))["test"]
    part = Part(source, codec_.encode(source.take(np.arange(100))))
    one, two = (task.baseline(codec_, part, part, 0) for _ in range(2))
    np.testing.assert_array_equal(one.outputs["return"], two.outputs["return"])  # type: ignore[union-attr]
    assert 15 < one.outputs["return"].mean() < 30  # type: ignore[union-attr]


def test_a_policy_goes_on_from_another_run(tmp_path: Path) -> None:
    """The weights and what observations are usually like are taken over; where actions differ, it is refused."""
    task = Control(environment="CartPole-v1", timesteps=20_480)
    first = thuja.train(Spec(task=task, data=Data(path="CartPole-v1", format="episodes"), train=Train(evaluate_every=80)), root=tmp_path)
    spec = Spec(task=task, data=Data(path="CartPole-v1", format="episodes"), train=Train(steps=2, evaluate_every=2), parent=str(first.path))
    went_on, fresh = thuja.train(spec, root=tmp_path), thuja.train(spec.model_copy(update={"parent": ""}), root=tmp_path)
    values = [next(record["value"] for record in made.records() if record["event"] == "look") for made in (went_on, fresh)]
    assert values[0] > 150 > values[1]
    other = Spec(task=Control(environment="Pendulum-v1"), data=Data(path="Pendulum-v1", format="episodes"), parent=str(first.path))
    with pytest.raises(SpecError) as error:
        thuja.train(other, root=tmp_path)
    assert str(error.value) == "parent: expected a policy with the same observations and actions, found another. Leave `parent` out."


def test_what_a_server_is_asked_is_what_the_policy_sees() -> None:
    task, codec_, columns = settled(Control(environment="Pendulum-v1", algorithm=SAC))
    model = begin(task, codec_, Train(steps=1, batch=8, device="cpu")).model
    source = task.served(model, codec_, Part(None, columns))  # type: ignore[arg-type]
    seen = np.array(source.take(np.arange(len(source)))["observation"])
    assert seen.shape == (256, 3) and np.allclose(seen[:, 0] ** 2 + seen[:, 1] ** 2, 1, atol=1e-5)
    assert source.ids(np.array([2])) == ["Pendulum-v1, observation 2"] and sum(len(part["observation"]) for part in source.batches(100)) == 256


def test_pictures_are_kept_as_bytes_and_learned_from() -> None:
    """A rollout of stacked frames, and finite weights after learning from it."""
    task, codec_, columns = settled(Control(environment="CartPole-v1", observe="pixels", algorithm=Ppo(environments=16, length=64), timesteps=1024))
    train = Train(steps=16, batch=256, device="cpu", warmup=0.0, schedule="constant")
    state = run(task, codec_, columns, train, begin(task, codec_, train), 16)
    assert all(torch.isfinite(p).all() for p in state.model.parameters())
    assert state.memory["observation"].dtype == torch.uint8 and state.memory["observation"].shape == (1024, 4, 40, 60)
