"""Spoken digits, from files to an artefact that answers a recording: about two minutes on two cores.

    python examples/speech.py

Reads the recordings of fsdd (`{digit}_{speaker}_{take}.wav`) from $THUJA_DATA/fsdd/recordings. Without them it makes words of its own out of tones, to show
the way.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.speech_recognition.task import SpeechRecognition
from thuja.artifact.runtime import Predictor
from thuja.fields.audio import wav
from thuja.settings import Data, Train
from thuja.spec import Spec

PATTERN = "{text}_{speaker}_{take}"
TONES = {"high": 2000, "low": 300, "middle": 900, "rising": None}


def made_up(folder: Path, takes: int = 60) -> Path:
    """Four "words" of two "speakers", one of whom sounds a fifth higher."""
    rng, rate = np.random.default_rng(0), 8000
    for word, hertz in TONES.items():
        for speaker, factor in (("ann", 1.5), ("bo", 1.0)):
            for take in range(takes):
                time = np.arange(int(rng.integers(1200, 3200))) / rate
                pitch = factor * (hertz or 300 + 1500 * time / time[-1])
                samples = 0.3 * np.sin(2 * np.pi * np.cumsum(np.full(len(time), pitch)) / rate) * np.hanning(len(time))
                (folder / f"{word}_{speaker}_{take}.wav").write_bytes(wav(samples + 0.003 * rng.standard_normal(len(time)), rate))
    return folder


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "fsdd" / "recordings"
    with tempfile.TemporaryDirectory() as place:
        folder = real if real.is_dir() else made_up(Path(place))
        spec = Spec(task=SpeechRecognition(), data=Data(path=str(folder.resolve()), pattern=PATTERN), train=Train(budget=90 if folder == real else 15))
        run = thuja.train(spec, root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        for line in scores.rows():
            print(f"{line.label}: {line.network} ({line.interval}); {scores.baseline_name}: {line.baseline}")
        predictor = Predictor(thuja.export(run))
        asked = sorted(folder.glob("*_3.wav"))[:5]
        answers = predictor.predict({"audio": asked})
        for path, text, likely in zip(asked, answers["text"], answers["log_probability"], strict=True):
            print(f"{path.name}: {text!r}, log-probability {likely:.2f}")


if __name__ == "__main__":
    main()
