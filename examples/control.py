"""A pole kept up by a policy that learned it, from the name of an environment to an artefact that answers an observation: half a minute on two cores.

    python examples/control.py

Needs no data: it plays. With gymnasium installed (`pip install 'thuja[control]'`) the report also shows an episode as a film strip.
"""

import tempfile
from pathlib import Path

import torch

import thuja
from thuja.apps.control.cart_pole import CartPoles
from thuja.apps.control.task import Control
from thuja.artifact.runtime import Predictor
from thuja.settings import Data, Train
from thuja.spec import Spec


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        spec = Spec(task=Control(environment="CartPole-v1"), data=Data(path="CartPole-v1", format="episodes"), train=Train(budget=10))
        run = thuja.train(spec, root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        brought = scores.metrics["mean_return"]
        within = "" if brought.low is None else f" ({brought.low:.1f} to {brought.high:.1f})"
        print(f"return of {scores.count} episodes: {brought.value:.1f}{within}; "
              f"{scores.baseline_name}: {scores.baseline.metrics['mean_return'].value:.1f}" if scores.baseline else "")
        predictor = Predictor(thuja.export(run))
        carts, steps = CartPoles(1), 0
        seen = carts.reset([7])
        while True:  # the artefact at work: no torch in what answers
            answer = predictor.predict({"observation": seen.numpy().astype(float).tolist()})
            after = carts.step(torch.tensor([carts.spaces.names.index(answer["action"][0])]))
            seen, steps = after.seen, steps + 1
            if after.ended.any():
                break
        print(f"asked step by step, the artefact kept a pole up for {steps} steps; the last answer: {answer['action'][0]}, "
              f"{ {name: round(share, 3) for name, share in answer['probabilities'][0].items()} }")


if __name__ == "__main__":
    main()
