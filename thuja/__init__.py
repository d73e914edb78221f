"""Thuja carries a deep-learning application through its whole life: data, checks, training, evaluation, a verified artefact, serving.

The verbs are functions here as they are commands in the shell: `thuja.train("thuja.yaml")`. Everything is loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thuja.artifact import Artifact as Artifact
    from thuja.certificate import verify as verify
    from thuja.check import check as check
    from thuja.evaluate import evaluate as evaluate
    from thuja.explain import explain as explain
    from thuja.export import export as export
    from thuja.fit import train as train
    from thuja.init import init as init
    from thuja.predict import predict as predict
    from thuja.run import Run as Run
    from thuja.serve.server import serve as serve
    from thuja.spec import Spec as Spec

__version__ = "0.1.0"

_PLACES = {
    "Artifact": "thuja.artifact", "Run": "thuja.run", "Spec": "thuja.spec", "check": "thuja.check", "evaluate": "thuja.evaluate",
    "explain": "thuja.explain", "export": "thuja.export", "init": "thuja.init", "predict": "thuja.predict", "serve": "thuja.serve.server",
    "train": "thuja.fit", "verify": "thuja.certificate",
}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'thuja' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
