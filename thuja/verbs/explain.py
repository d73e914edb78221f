"""`thuja explain`: every settled choice with its reason, and the network layer by layer, measured on one example."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from thuja import spec as specs
from thuja.codec import Codec, rectangular, take
from thuja.core.seeds import mix, stream
from thuja.network import Network, describe
from thuja.run import SPEC, Run
from thuja.spec import Spec
from thuja.task import Choice
from thuja.training.prepare import gather


class Explanation(NamedTuple):
    """What will happen, and why."""

    choices: dict[str, Choice]
    network: Network


def explain(what: Spec[Any] | Run | Path | str, *, data: Any = None, overrides: Sequence[str] = ()) -> Explanation:
    """Settle a spec as `train` would, without training, and describe its network; of a run, what was settled then.

    Args:
        what: a spec or its file, or a run or its folder.
        data: rows as a Python object, in place of `spec.data.path`.
        overrides: "name=value" changes of a spec read from a file.
    Raises: SpecError, DataError.
    """
    if isinstance(what, (str, Path)) and (Path(what) / SPEC).is_file():
        what = Run.open(what)
    if isinstance(what, Run):
        spec = specs.parse(what.spec_data(), str(what.path / SPEC))
        choices = {name: Choice(*pair) for name, pair in what.read("reasons.json").items()}
        return Explanation(choices, _network(spec, what.codec()))
    gathered = gather(what, data, overrides, check=False)
    settled, choices = specs.settle(gathered.spec, gathered.codec, specs.facts(gathered.spec.train, gathered.rows))
    return Explanation(gathered.choices | choices, _network(settled, gathered.codec))


def _network(spec: Spec[Any], codec: Codec) -> Network:
    torch.manual_seed(mix(spec.train.seed, "init"))
    model = spec.task.build(codec)
    rng = stream(0, "explain")
    fake = {name: field.fake(rng, 8) for name, field in codec.schema().inputs.items()}
    program = spec.task.programs(model, codec)["predict"]
    arrays = rectangular(take(codec.encode(fake), torch.arange(1).numpy()))
    return describe(program.module, tuple(torch.from_numpy(arrays[name]) for name in program.inputs))
