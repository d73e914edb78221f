"""What the report shows of a policy: an episode as a film strip, and what all episodes brought."""

import numpy as np

from thuja.chart import Chart, Line, Still
from thuja.metrics import Outputs


def charts(environment: str, seed: int, frames: list[tuple[int, bytes]], outputs: Outputs) -> tuple[Chart, ...]:
    """The film strip where there are frames, and the returns in order."""
    found = np.sort(np.asarray(outputs.arrays["return"], float))
    share = (np.arange(len(found)) + 1) / len(found)
    lines = [Line("episodes", found, share)]
    wanted = float(np.asarray(outputs.target, float)[0])
    said = f"Half of the {len(found)} episodes bring at most {np.median(found):.4g}; the worst {found[0]:.4g}, the best {found[-1]:.4g}."
    if np.isfinite(wanted):
        lines.append(Line("wanted", np.array([wanted, wanted]), np.array([0.0, 1.0])))
        said += f" Wanted: {wanted:g}."
    returns = Chart("What episodes bring", said, "return", "share of episodes with at most this", lines=lines)
    if not frames:
        return (returns,)
    stills = [Still(data, f"step {step}") for step, data in frames]
    strip = Chart(f"An episode of {environment}", f"The policy plays the test episode with seed {seed}, from left to right.", kind="stills", stills=stills)
    return strip, returns
