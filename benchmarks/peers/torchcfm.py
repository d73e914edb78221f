"""TorchCFM's recipes as its authors document them, on pictures in a file: its own U-Net, its flow, its optimiser, in a bare loop until the time is up.

    python benchmarks/peers/torchcfm.py --folder PLACE --recipe documented --budget 180

PLACE/asked.npz has `x` uint8 [rows, height, width, channels], `y` int64 [rows] and `asked` int64, the classes of the pictures to make; PLACE/made.npz gets
`last`, made by the last weights, and `averaged`, by their moving average where the recipe has one.

documented
    28 pixels   github.com/atong01/conditional-flow-matching, examples/images/conditional_mnist.ipynb: 32 channels, one residual block, told the class; Adam
                0.001, batch 128.
    32 pixels   examples/images/cifar10/train_cifar10.py: 128 channels, two residual blocks, attention at 16, not told the class; Adam 0.0002 after 5,000
                steps of warm-up, norm at most 1, mirrored, average 0.9999, batch 128.
small           the first recipe for pictures of any size, which suits minutes on two cores better than the second.

Why a bare loop: the package requires torchdyn, and that torchvision, which never enters any environment of ours. So the wheel is fetched without what it
requires, and of it only the U-Net is used, unchanged; the rest of the recipe is the dozen lines below (sigma = 0: x = (1 - t) n + t d, velocity d - n, mean
squared error). Pictures are made in 8 steps of Heun, as ours are; the recipes ask an adaptive solver for some hundred evaluations, which takes longer
than the budget.
"""

import argparse
import copy
import importlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

VERSION = "1.0.7"
BATCH, STEPS = 128, 8
MADE = 64
"""Pictures made at a time."""


def unet() -> Any:
    """The class `UNetModelWrapper` of the wheel, fetched once into the user's cache."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thuja" / "peers" / f"torchcfm-{VERSION}"
    if not (place / "torchcfm" / "models" / "unet" / "unet.py").is_file():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place), f"torchcfm=={VERSION}"], check=True)
        with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
            wheel.extractall(place)
    sys.path.insert(0, str(place / "torchcfm" / "models"))  # the package `unet` alone: `torchcfm` itself imports what is not here
    return importlib.import_module("unet").UNetModel


def network(recipe: str, shape: tuple[int, ...]) -> nn.Module:
    """As documented, for pictures of this height, width and number of channels."""
    height, width, channels = shape
    if recipe == "documented" and channels == 3:
        return unet()(dim=(3, height, width), num_res_blocks=2, num_channels=128, channel_mult=[1, 2, 2, 2], num_heads=4, num_head_channels=64,
                      attention_resolutions="16", dropout=0.1)
    return unet()(dim=(channels, height, width), num_channels=32, num_res_blocks=1, num_classes=10, class_cond=True)


def train(net: nn.Module, x: np.ndarray, y: np.ndarray, budget: float, *, large: bool) -> tuple[nn.Module, int, float]:
    """Until the time is up: the average of the weights, the number of steps, the seconds."""
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4 if large else 1e-3)
    average, rng, began, step = copy.deepcopy(net), np.random.default_rng(0), time.perf_counter(), 0
    while time.perf_counter() - began < budget:
        places = rng.integers(0, len(x), BATCH)
        data = standard(x[places])
        if large:
            data = torch.where(torch.rand(BATCH)[:, None, None, None] < 0.5, data.flip(3), data)
            optimizer.param_groups[0]["lr"] = 2e-4 * min(step, 5000) / 5000
        noise, moment = torch.randn_like(data), torch.rand(BATCH)
        along = moment[:, None, None, None]
        found = net(moment, (1 - along) * noise + along * data, None if large else torch.from_numpy(y[places]))
        loss = (found - (data - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if large:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), net.parameters(), strict=True):
                old.lerp_(new, 1 - 0.9999)
        step += 1
    return average, step, time.perf_counter() - began


def standard(pictures: np.ndarray) -> Tensor:
    """uint8 [B, H, W, C] to [B, C, H, W] from -1 to 1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def make(net: nn.Module, asked: np.ndarray, shape: tuple[int, ...], *, large: bool) -> np.ndarray:
    """Pictures of these classes, uint8 [rows, height, width, channels]."""
    net.eval()
    torch.manual_seed(1)
    height, width, channels = shape
    found = []
    for start in range(0, len(asked), MADE):
        label = None if large else torch.from_numpy(asked[start : start + MADE])
        x = torch.randn(len(asked[start : start + MADE]), channels, height, width)
        for step in range(STEPS):
            slope = net(torch.full((len(x),), step / STEPS), x, label)
            ahead = net(torch.full((len(x),), (step + 1) / STEPS), x + slope / STEPS, label)
            x = x + (slope + ahead) / 2 / STEPS
        found.append(((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--recipe", choices=("documented", "small"), default="documented")
    parser.add_argument("--budget", type=float, default=180.0)
    arguments = parser.parse_args()
    known = np.load(arguments.folder / "asked.npz")
    shape = known["x"].shape[1:]
    large = arguments.recipe == "documented" and shape[2] == 3
    torch.manual_seed(0)
    net = network(arguments.recipe, shape)
    average, steps, seconds = train(net, known["x"], known["y"], arguments.budget, large=large)
    made = {"last": make(net, known["asked"], shape, large=large)}
    if large:
        made["averaged"] = make(average, known["asked"], shape, large=large)
    np.savez(arguments.folder / "made.npz", **made)
    print(json.dumps({"version": VERSION, "recipe": arguments.recipe, "parameters": sum(p.numel() for p in net.parameters()), "steps": steps,
                      "train_s": round(seconds, 1)}))


if __name__ == "__main__":
    main()
