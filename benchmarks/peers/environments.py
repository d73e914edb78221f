"""An environment for every peer, so that none of them ever enters ours: made once from pinned requirements and kept in the user's cache.

    python benchmarks/peers/environments.py            # make all, say what they hold
    python benchmarks/peers/environments.py keras      # one of them

Every peer gets the torch that Thuja has, same version and same build, installed like everything else from the package index that pip is configured for;
nothing is shared with our environment, since packages that happen to lie there make some peers slower to import. Where a peer's own requirements do not
admit that torch it chooses its own, and `versions` shows which. torchvision may come with a peer that needs it.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "torch": ("numpy==2.4.6",),
    "lightning": ("lightning==2.6.6", "numpy==2.4.6", "click==8.5.1"),
    "keras": ("keras==3.15.1",),
    "skorch": ("skorch==1.4.0",),
    "fastai": ("fastai==2.8.12",),
    "ludwig": ("ludwig==0.17.8" if sys.version_info >= (3, 12) else "ludwig==0.11.0",),
    "transformers": ("transformers==5.23.0",),
    "litserve": ("litserve==0.2.19", "granian==2.8.7", "httptools==0.9.0", "uvloop==0.23.0", "onnxruntime==1.32.0", "pillow==13.0.0"),
}
"""What is asked of pip. Ludwig 0.11.0 is the last one that admits Python 3.11.

Lightning's command line does not start without click, which it does not require. `litserve` brings FastAPI, Starlette and uvicorn, and is the environment
of all servers.
"""
IMPORTED = {"ludwig": "ludwig.api"}
"""What is imported to see that it works, where that is not the peer's own name."""
LIMIT_S = 1200
REASON = 400
"""Characters of pip's reason that are kept: its last ones."""


class DoesNotInstall(RuntimeError):
    """A peer that pip refuses here; the text is pip's reason."""


def place(name: str) -> Path:
    """Where the environment of a peer lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thuja" / "peers" / name


def python(name: str) -> Path:
    """The interpreter of the peer's environment, which is made at the first call (minutes) and after its requirements have changed.

    Raises: DoesNotInstall, at once when this was found before.
    """
    folder, wanted = place(name), _requirements(name)
    made = folder / "made.json"
    found = json.loads(made.read_text("utf-8")) if made.is_file() else {}
    if found.get("requirements") != wanted:
        reason = _make(folder, name, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        found = {"requirements": wanted, "reason": reason}
        made.write_text(json.dumps(found) + "\n", "utf-8")
    if found["reason"]:
        raise DoesNotInstall(found["reason"])
    return folder / "bin" / "python"


def versions(name: str) -> dict[str, str]:
    """Every distribution in the environment of a peer, by name."""
    listed = subprocess.run([python(name), "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True).stdout
    return {row["name"]: row["version"] for row in json.loads(listed)}


def _requirements(name: str) -> list[str]:
    """What pip is asked for, our torch and this Python included: when one of them changes the environment is made again."""
    return [f"python=={sys.version_info.major}.{sys.version_info.minor}", f"torch=={version('torch').partition('+')[0]}", *REQUIREMENTS[name]]


def _make(folder: Path, name: str, wanted: list[str]) -> str:
    """Make the environment; pip's reason where it does not install, else empty."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pinned = [requirement for requirement in wanted if not requirement.startswith("python==")]
    reason = _pip(folder, pinned)
    if reason:
        reason = _pip(folder, list(REQUIREMENTS[name]))
    if reason:
        return reason
    command = [folder / "bin" / "python", "-c", f"import {IMPORTED.get(name, name)}"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"KERAS_BACKEND": "torch"})
    return "" if tried.returncode == 0 else f"installs, but import fails: {tried.stderr.strip()[-REASON:]}"


def _pip(folder: Path, requirements: list[str]) -> str:
    """Install; the lines that say why not, else empty."""
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--prefer-binary", *requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"pip was not done after {LIMIT_S} s"
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "error:" in line]
    return "" if done.returncode == 0 else (" ".join(errors) or done.stderr.strip())[-REASON:]


def main() -> None:
    """Make what was named, or all, and say how it went."""
    for name in sys.argv[1:] or REQUIREMENTS:
        try:
            print(f"{name:13} {len(versions(name))} distributions, {python(name)}", flush=True)
        except DoesNotInstall as reason:
            print(f"{name:13} does not install: {reason}", flush=True)


if __name__ == "__main__":
    main()
