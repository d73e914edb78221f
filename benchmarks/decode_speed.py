"""How fast a language model past the size of the processor's cache speaks, one row at a time, beside the bound that memory sets.

To make a token, every weight is read once, so that at best a step takes the bytes of the weights divided by the bandwidth of memory. The bandwidth is measured
in the same process, as the best of many sums over an array of 1 GiB on as many threads, made between the rounds of steps, so that a busy neighbour slows both.
The network has random weights: time does not depend on them. What is timed is the program `step` of an artefact in onnxruntime as `Predictor.step` runs it, its
caches given and taken at each step; beside it, torch the same.

    python benchmarks/decode_speed.py --threads 2
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import record
import torch
from onnxruntime import InferenceSession

from thuja.apps.language_model.generation import programs
from thuja.artifact.runtime import session_options
from thuja.codec import AFTER, Arrays
from thuja.graph.onnxwrite import to_onnx
from thuja.models.gpt import GPT
from thuja.training.look import run

MODEL = GPT(dim=768, depth=8, heads=12, hidden=3072, ngrams=1)
TOKENS, CONTEXT, MOST = 4096, 256, 512
WARM, STEPS, TIMES = 3, 30, 5


def bandwidth(array: torch.Tensor) -> float:
    """Bytes a second that can be read: the best of a few sums over the array."""
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        array.sum()
        best = max(best, array.nbytes / (time.perf_counter() - began))
    return best


def step_s(step: Callable[[Arrays], Arrays], state: Arrays, steps: int) -> float:
    """Seconds a step, the median of some."""
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        state = state | step(state)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, default=record.cores())
    threads, load = arguments.parse_args().threads, os.getloadavg()[0]
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    net = MODEL.build(TOKENS, CONTEXT).eval()
    made = programs(net, CONTEXT, MOST, (0, 1, 3))
    prompt = np.random.default_rng(0).integers(4, TOKENS, (2, 100))
    settings = {"temperature": np.ones(2, np.float32), "top_k": np.zeros(2, np.int64), "top_p": np.ones(2, np.float32),
                "max_tokens": np.full(2, MOST), "seed": np.arange(2)}
    with torch.inference_mode():
        state = run(made["predict"], {"prompt": prompt, **settings})
        options = session_options(threads)
        session = InferenceSession(to_onnx(made["step"], state), options, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_outputs()]
        one = {name: array[:1] for name, array in state.items()}
        bytes_read = 4 * sum(p.numel() for name, p in net.named_parameters() if not name.startswith("embedding"))
        ways = {"artefact": lambda now: dict(zip((n.removesuffix(AFTER) for n in names),
                                                 session.run(names, {n: now[n] for n in made["step"].inputs}), strict=True)),
                "torch": lambda now: run(made["step"], now)}
        array, speeds, rounds = torch.ones(1 << 28), [], {way: [] for way in ways}
        for step in ways.values():
            step_s(step, one, WARM)
        for _ in range(TIMES):
            speeds.append(bandwidth(array))
            for way, step in ways.items():
                rounds[way].append(step_s(step, one, STEPS))
    speed, exported = max(speeds), rounds["artefact"]
    bound = bytes_read / speed
    found = {"parameters": sum(p.numel() for p in net.parameters()), "weight_bytes_read": bytes_read, "threads": threads,
             "bandwidth_gb_s": round(speed / 1e9, 2), "bandwidths_gb_s": [round(s / 1e9, 2) for s in speeds],
             "bound_ms": round(1000 * bound, 2), "artefact_ms": round(1000 * min(exported), 2),
             "artefact_rounds_ms": [round(1000 * s, 2) for s in exported], "artefact_share_of_bound": round(bound / min(exported), 3),
             "torch_ms": round(1000 * min(rounds["torch"]), 2), "tokens_a_second": round(1 / min(exported), 1), "goal": 0.6, "model": MODEL.model_dump(),
             "context": CONTEXT}
    print(json.dumps(found, indent=1))
    print(record.save("decode_speed", found, load))


if __name__ == "__main__":
    main()
