import json

import torch
from safetensors.torch import load

from thuja.training.staging import NAMES, Staging


def test_every_type_and_shape_comes_back() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {str(dtype): torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for dtype in NAMES}
    tensors |= {"scalar": torch.tensor(2.5), "none": torch.zeros(0, 4), "transposed": torch.randn(4, 6, generator=generator).t(),
                "filters": torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=torch.channels_last)}
    staging = Staging(tensors)
    staging.fill(tensors)
    found = load(bytes(staging.file))
    assert found.keys() == tensors.keys()
    assert next(iter(staging.tensors.values())).data_ptr() % 64 == 0
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in tensors.items())


def test_filling_again_changes_the_values_and_only_them() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 3))
    staging = Staging({"w": weight})
    staging.fill({"w": weight})
    before = bytes(staging.file)
    staging.fill({"w": weight.detach() * 2})
    after = bytes(staging.file)
    assert load(after)["w"].tolist() == [[2.0] * 3] * 2
    assert before[:-24] == after[:-24]
    assert json.loads(after[8:-24]) == {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
