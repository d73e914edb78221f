"""Thuja carries a deep-learning application through its whole life: data, checks, training, evaluation, a verified artefact, serving, renewal, its end.

The verbs are functions here as they are commands in the shell: `thuja.train("thuja.yaml")`, `thuja.deploy("runs/0001", "shop")`. Everything is loaded on first
use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thuja.artifact.folder import Artifact as Artifact
    from thuja.proof.certificate import verify as verify
    from thuja.run import Run as Run
    from thuja.server.server import serve as serve
    from thuja.spec import Spec as Spec
    from thuja.verbs.age import age as age
    from thuja.verbs.challenge import challenge as challenge
    from thuja.verbs.challenge import promote as promote
    from thuja.verbs.challenge import retire as retire
    from thuja.verbs.challenge import rollback as rollback
    from thuja.verbs.check import check as check
    from thuja.verbs.deploy import deploy as deploy
    from thuja.verbs.drill import drill as drill
    from thuja.verbs.evaluate import evaluate as evaluate
    from thuja.verbs.explain import explain as explain
    from thuja.verbs.export import export as export
    from thuja.verbs.init import init as init
    from thuja.verbs.label import label as label
    from thuja.verbs.predict import predict as predict
    from thuja.verbs.retrain import retrain as retrain
    from thuja.verbs.timeline import timeline as timeline
    from thuja.verbs.train import train as train

__version__ = "0.1.0"

_MAKING = {
    "Artifact": "artifact.folder", "Run": "run", "Spec": "spec", "check": "verbs.check", "evaluate": "verbs.evaluate", "explain": "verbs.explain",
    "export": "verbs.export", "init": "verbs.init", "predict": "verbs.predict", "serve": "server.server", "train": "verbs.train",
    "verify": "proof.certificate",
}
_LIFE = {
    "age": "verbs.age", "challenge": "verbs.challenge", "deploy": "verbs.deploy", "drill": "verbs.drill", "label": "verbs.label",
    "promote": "verbs.challenge", "retire": "verbs.challenge", "retrain": "verbs.retrain", "rollback": "verbs.challenge", "timeline": "verbs.timeline",
}
"""What comes after: a deployment's commands."""
_PLACES = _MAKING | _LIFE
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'thuja' has no attribute {name!r}")
    return getattr(importlib.import_module(f"thuja.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
