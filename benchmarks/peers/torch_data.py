"""Arrays as the scripts of bare PyTorch, Lightning and skorch take them: float32 tensors ready to be gathered."""

import numpy as np
import torch
from clock import Job
from torch import Tensor
from words import numbered, padded

LONGEST = 48
"""Words of a sentence that are read; the longest of SST-2 has 53 tokens."""


def pictures(job: Job) -> dict[str, Tensor]:
    """Normalised by the mean and spread of the training pixels, [rows, channels, height, width], channels last in memory."""
    arrays = job.read()
    mean, spread = (arrays["train_x"].astype(np.float32) / 255).mean((0, 1, 2)), (arrays["train_x"][:5000].astype(np.float32) / 255).std((0, 1, 2))
    found = {}
    for part in ("train", "test"):
        x = torch.from_numpy(arrays[f"{part}_x"]).float().div_(255).sub_(torch.from_numpy(mean)).div_(torch.from_numpy(spread))
        found |= {f"{part}_x": x.permute(0, 3, 1, 2), f"{part}_y": torch.from_numpy(arrays[f"{part}_y"])}
    return found


def sentences(job: Job, pairs: bool, least: int) -> tuple[dict[str, Tensor], int]:
    """Rectangles of ids, and the size of the vocabulary."""
    arrays = job.read()
    train, test, words = numbered(arrays["train_x"], arrays["test_x"], pairs, least)
    longest = 2 * LONGEST if pairs else LONGEST
    found = {f"{part}_x": torch.from_numpy(padded(rows, longest)) for part, rows in (("train", train), ("test", test))}
    return found | {f"{part}_y": torch.from_numpy(arrays[f"{part}_y"]) for part in ("train", "test")}, words


def table(job: Job) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """Standardised numbers and codes of categories side by side, and how many codes each category has."""
    arrays = job.read()
    train, test = arrays["train_numbers"], arrays["test_numbers"]
    mean, spread = train.mean(axis=0), train.std(axis=0)
    codes: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    sizes = []
    for known, asked in zip(arrays["train_categories"].T, arrays["test_categories"].T, strict=True):
        names, code = np.unique(known, return_inverse=True)
        places = np.searchsorted(names, asked).clip(max=len(names) - 1)
        codes["train"].append(code + 1)
        codes["test"].append(np.where(names[places] == asked, places + 1, 0))
        sizes.append(len(names) + 1)
    found = {}
    for part, numbers in (("train", train), ("test", test)):
        cells = np.concatenate([(numbers - mean) / spread, np.array(codes[part], np.float32).T], axis=1, dtype=np.float32)
        found |= {f"{part}_x": torch.from_numpy(cells), f"{part}_y": torch.from_numpy(arrays[f"{part}_y"])}
    return found, tuple(sizes)
