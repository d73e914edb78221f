"""What a learned policy brings in an episode, over the hundred test episodes of an environment.

    python benchmarks/quality_control.py CartPole-v1 --seeds 0 1 2          # 475 within 20 s
    python benchmarks/quality_control.py Pendulum-v1 --seeds 0 1 2          # -170 after 20,000 steps of play, by soft actor-critic
    python benchmarks/quality_control.py HalfCheetah-v5 --peer              # beside CleanRL's recipe at equal steps of play

Everything goes through the verb `train`: the name of the environment, the settled choices, the loop. With `--budget` the steps are timed before the run, as
`thuja train` does; without it, play is as long as the recipe says. Hyper-parameters were chosen on the validation episodes (`--part validation`). The return is
that of the policy without noise, played from fixed seeds that training never begins from; the interval is over episodes, `sd_of_seeds` over runs.
Beside it stand random actions, and for the cart-pole a rule written by hand. MuJoCo's environments need the packages mujoco and imageio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from served import served
from torch import Tensor

from thuja.apps.control import play
from thuja.apps.control.environments import Ask
from thuja.apps.control.task import Control
from thuja.data.source import open_source
from thuja.metrics import METRICS, interval
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.verbs.train import train

GOALS = {"CartPole-v1": 475.0, "Acrobot-v1": -80.0, "Pendulum-v1": -170.0, "LunarLander-v3": 240.0}
LANDER: dict[str, Any] = {"kind": "ppo", "environments": 16, "length": 512, "discount": 0.999, "trace": 0.98, "learning_rate": 0.001}
RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CartPole-v1": ({"timesteps": 65_536}, {}),
    "Acrobot-v1": ({"timesteps": 300_000}, {}),
    "Pendulum-v1": ({"timesteps": 20_000}, {}),
    "LunarLander-v3": ({"timesteps": 600_000, "algorithm": LANDER}, {"batch": 512, "steps": 4688, "evaluate_every": 1172, "clip": 0.5}),
    "HalfCheetah-v5": ({"timesteps": 100_000, "algorithm": {"kind": "sac", "warm": 5000}}, {"evaluate_every": 31_667}),
}
"""What of the task and of training is not left at auto."""


def experiment(spec: Spec[Control], part: str, in_service: bool) -> dict[str, Any]:
    """Train once, play the episodes of a part once."""
    with tempfile.TemporaryDirectory() as runs:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = train(spec, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[Control].model_validate(run.spec_data())
        model = settled.task.build(codec)
        checkpoint.load_model(run.best_checkpoint(), model)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        more = served(run) if in_service else {}
    source = open_source(spec.data)[part]
    columns = codec.encode(source.take(np.arange(len(source))))
    outputs = settled.task.outputs(codec, columns, answers(settled.task.programs(model.eval(), codec), columns, "play"), source)
    found = interval(METRICS["mean_return"], outputs)
    ends = [round(end, 2) if end is not None and np.isfinite(end) else None for end in (found.low, found.high)]
    return {"seed": spec.train.seed, "mean_return": round(found.value, 2), "interval_95": ends,
            "median_return": round(METRICS["median_return"].value(outputs), 2), "mean_length": round(float(outputs.arrays["length"].mean()), 1),
            "episodes": len(source), "updates": settled.train.steps, "timesteps": played(settled), "train_s": round(timed[-1], 1), "wall_s": round(wall, 1),
            "load_before": round(load, 2), "parameters": sum(p.numel() for p in model.parameters()), **more,
            "settled": settled.model_dump(mode="json", include={"task", "train"})}


def played(spec: Spec[Control]) -> int:
    """Steps of play in a run."""
    algorithm, steps, batch = spec.task.algorithm, spec.train.steps, spec.train.batch
    assert algorithm != "auto" and isinstance(steps, int) and isinstance(batch, int) and isinstance(algorithm.environments, int)
    if algorithm.kind != "ppo":
        return (algorithm.warm + algorithm.every * steps) * algorithm.environments
    assert isinstance(algorithm.length, int)
    rows = algorithm.environments * algorithm.length
    return -(-steps // (algorithm.passes * -(-rows // batch))) * rows


def rule(seen: Tensor) -> Tensor:
    """Push the cart the way the pole falls, a little towards the middle."""
    return (seen[:, 2] + seen[:, 3] + 0.1 * seen[:, 1] + 0.05 * seen[:, 0] > 0).long()


def beside(task: Control, part: str) -> dict[str, Any]:
    """What random actions, and a rule where there is one, bring on the same episodes."""
    source = open_source(Data(path=task.environment, format="episodes"))[part]
    settled, codec = task.prepare(source)
    asked = Part(source, codec.encode(source.take(np.arange(len(source)))))
    random = settled.baseline(codec, asked, asked, 0)
    found = {"random": round(float(random.outputs["return"].mean()), 2)} if random is not None else {}
    if task.environment == "CartPole-v1":
        seeds = np.asarray(asked.columns["seed"]).tolist()
        found["rule written by hand"] = round(float(play.episodes(Ask(task.environment), seeds, rule)[0].mean()), 2)
    return found


def peer(environment: str, algorithm: str, steps: int, seed: int, part: str) -> dict[str, Any]:
    """CleanRL's recipe in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "peers" / "cleanrl_ppo.py"), "--algorithm", algorithm, "--environment", environment,
               "--steps", str(steps), "--seed", str(seed), "--part", part]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"seed": seed, "load": round(os.getloadavg()[0], 2), **json.loads(said.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", nargs="?", default="CartPole-v1")
    parser.add_argument("--budget", type=float, help="seconds of training, in place of the recipe's steps of play")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON")
    parser.add_argument("--peer", action="store_true", help="also CleanRL's recipe with the same algorithm, steps and seeds")
    arguments = parser.parse_args()
    name, before = arguments.environment, os.getloadavg()[0]
    of_task, of_train = RECIPES.get(name, ({}, {}))
    task = Control.model_validate({"environment": name, **of_task, **arguments.task})
    how = {**of_train, **arguments.train}
    if arguments.budget:
        how = {key: value for key, value in how.items() if key not in ("steps", "evaluate_every")} | {"budget": arguments.budget}
    runs = []
    for place, seed in enumerate(arguments.seeds):
        spec = Spec(task=task, data=Data(path=name, format="episodes"), check=Check(enabled=False), train=Train(**{**how, "seed": seed}))
        runs.append(experiment(spec, arguments.part, in_service=place == 0))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    values, algorithm = [run["mean_return"] for run in runs], runs[0]["settled"]["task"]["algorithm"]["kind"]
    theirs = [peer(name, algorithm, runs[0]["timesteps"], seed, arguments.part) for seed in arguments.seeds] if arguments.peer else []
    result = {"says": f"{name}, return of the {arguments.part} episodes, {algorithm}, {runs[0]['timesteps']:,} steps of play", "goal": GOALS.get(name),
              "mean": round(statistics.mean(values), 2), "sd_of_seeds": round(statistics.pstdev(values), 3), "runs": runs, "cleanrl": theirs,
              "beside": beside(task, arguments.part), "torch_threads": torch.get_num_threads()}
    what = f"control_{name.lower()}" + (f"_{arguments.budget:g}s" if arguments.budget else "") + ("" if arguments.part == "test" else "_validation")
    print(f"return {result['mean']}, beside {result['beside']}, CleanRL {[run['mean_return'] for run in theirs]}; {record.save(what, result, before)}")


if __name__ == "__main__":
    main()
