"""Start-up beside the peers: whole processes from the start of the interpreter, in turn, median of five.

    python benchmarks/start_up_peers.py

import         `import X` as its documentation begins
help           the command line's --help, where there is one
first step     until one optimiser step of a small network on 512 rows of two numbers is done, by the peer's own trainer
first answer   until the server of a two-number model has answered one request (Thuja, LitServe, and Starlette on uvicorn for the floor)

Each round runs everybody once, so that a noisy minute hits all. OMP_NUM_THREADS=1. A peer that does not install or does not import is named with the reason.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record
from peers import environments

ROUNDS = 5
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch", "PYTHONDONTWRITEBYTECODE": ""}
HERE = Path(__file__).parent
IMPORTS = {
    "python": "pass", "torch": "import torch", "thuja": "import thuja", "thuja, to train": "from thuja import train; import torch",
    "lightning": "import lightning", "keras": "import keras", "skorch": "import skorch", "fastai": "from fastai.tabular.all import *",
    "transformers": "import transformers", "transformers, to train": "from transformers import Trainer",
    "ludwig": "from ludwig.api import LudwigModel", "litserve": "import litserve",
}
HELP = {"thuja": "from thuja.__main__ import main; main(['--help'])",
        "lightning": "import sys; sys.argv = ['fabric', '--help']; from lightning.fabric.cli import _main; _main()",
        "ludwig": "import sys; sys.argv = ['ludwig', '--help']; from ludwig.cli import main; main()",
        "transformers": "import sys; sys.argv = ['transformers', '--help']; from transformers.cli.transformers import main; main()"}
ROWS = """
import numpy as np, torch
from torch import nn
rng = np.random.default_rng(0)
x = rng.normal(size=(512, 2)).astype("float32")
y = (x.sum(1) > 0).astype("int64")
def network():
    return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 2))
"""
FIRST_STEP = {
    "torch": ROWS + """
model = network()
optimizer = torch.optim.AdamW(model.parameters())
nn.functional.cross_entropy(model(torch.from_numpy(x[:128])), torch.from_numpy(y[:128])).backward()
optimizer.step()
""",
    "thuja": ROWS + """
import tempfile
from pathlib import Path
import thuja
from thuja.spec import parse
spec = parse({"thuja": 1, "task": {"kind": "table", "target": "y"}, "train": {"steps": 1}, "check": {"enabled": False}}, "start_up_peers")
with tempfile.TemporaryDirectory() as folder:
    thuja.train(spec, data={"a": x[:, 0], "b": x[:, 1], "y": [("low", "high")[v] for v in y]}, root=Path(folder))
""",
    "lightning": ROWS + """
import lightning
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = network()
    def training_step(self, batch, number):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())
data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Model(), torch.utils.data.DataLoader(data, batch_size=128))
""",
    "keras": ROWS + """
import keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(2)])
model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x[:128], y[:128], batch_size=128, verbose=0)
""",
    "skorch": ROWS + """
from skorch import NeuralNetClassifier
NeuralNetClassifier(network(), max_epochs=1, batch_size=128, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0).fit(x[:128], y[:128])
""",
    "fastai": ROWS + """
import pandas as pd
from fastai.tabular.all import *
frame = pd.DataFrame({"a": x[:, 0].copy(), "b": x[:, 1].copy(), "y": y})
loaders = TabularDataLoaders.from_df(frame, procs=[Normalize], cat_names=[], cont_names=["a", "b"], y_names="y", y_block=CategoryBlock(), bs=128,
                                     valid_idx=list(range(384, 512)))
learner = tabular_learner(loaders, layers=[64])
with learner.no_bar(), learner.no_logging():
    learner.fit(1)
""",
}
SERVE = """
import sys
from pathlib import Path
from thuja.server.server import serve
from thuja.server.settings import ServeSettings
serve(Path(sys.argv[1]), ServeSettings(port=int(sys.argv[2])), lambda address: None)
"""


def interpreter(name: str) -> Path:
    """Ours for Thuja and plain Python, else the peer's."""
    library = name.partition(",")[0]
    return Path(sys.executable) if library in ("thuja", "python") else environments.python(library)


def until_done(name: str, code: str, folder: Path) -> float:
    """Seconds from the start of a process until the last line of `code` is done."""
    started = time.time()
    done = subprocess.run([interpreter(name), "-W", "ignore", "-c", code + "\nimport time; print('\\n', time.time())"], capture_output=True, text=True,
                          check=True, env=ENVIRONMENT, cwd=folder)
    return float(done.stdout.split()[-1]) - started


def whole(name: str, code: str, folder: Path) -> float:
    """Seconds of a whole process, for commands that end it themselves."""
    started = time.time()
    subprocess.run([interpreter(name), "-W", "ignore", "-c", code], capture_output=True, check=True, env=ENVIRONMENT, cwd=folder)
    return time.time() - started


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answered(command: list[str], port: int, body: bytes, folder: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of a server until it has answered one request with 200."""
    started = time.time()
    server = subprocess.Popen(command, env=ENVIRONMENT | environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.time() - started < 60:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                if connection.getresponse().status == 200:
                    return time.time() - started
            except (ConnectionError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.005)
        raise AssertionError(f"no answer within a minute: {command}")
    finally:
        server.terminate()
        server.wait(30)


def servers(folder: Path) -> dict[str, Any]:
    """What starts each server of one exported model: (command, environment), with PORT to be filled in; and the body to ask."""
    from serving_models import TINY, make

    work = make(folder)[TINY]
    peer, known = str(environments.python("litserve")), {"MODEL": str(work.artifact / "predict.onnx"), "KIND": TINY}
    here = str(HERE / "peers")
    return {"body": work.json, "commands": {
        "thuja": ([sys.executable, "-c", SERVE, str(work.artifact), "PORT"], {}),
        "litserve": ([peer, f"{here}/serve_litserve.py", "PORT"], known),
        "FastAPI": ([peer, "-m", "uvicorn", "--app-dir", here, "--port", "PORT", "--log-level", "error", "serve_asgi:friendly"], known)}}


def main() -> None:
    """All rounds, and the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds, before = parser.parse_args().rounds, os.getloadavg()[0]
    absent: dict[str, str] = {}
    for name in {name.partition(",")[0] for name in IMPORTS} - {"python", "thuja"}:
        try:
            environments.python(name)
        except environments.DoesNotInstall as reason:
            absent[name] = str(reason)
    times: dict[str, dict[str, list[float]]] = {"import": {}, "help": {}, "first step": {}, "first answer": {}}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        asked = servers(folder / "models")
        for number in range(rounds + 1):
            for what, codes, measure in (("import", IMPORTS, until_done), ("help", HELP, whole), ("first step", FIRST_STEP, until_done)):
                for name in codes:
                    if name.partition(",")[0] not in absent:
                        times[what].setdefault(name, []).append(measure(name, codes[name], folder))
            for name, (command, environment) in asked["commands"].items():
                port = free_port()
                filled = [str(port) if word == "PORT" else word for word in command]
                times["first answer"].setdefault(name, []).append(answered(filled, port, asked["body"], folder, environment))
            if number == 0:  # the disk's cache was cold
                times = {what: {} for what in times}
    figures = {what: {name: {"median_s": round(statistics.median(values), 3), "best_s": round(min(values), 3)} for name, values in of.items()}
               for what, of in times.items()}
    for what, of in figures.items():
        print(f"{what:13}", "  ".join(f"{name} {found['median_s']:.2f}" for name, found in of.items()))
    print(record.save("start_up_peers", {"rounds": rounds, "figures": figures, "absent": absent}, before))


if __name__ == "__main__":
    main()
