"""Serves an artefact of the tests in a process of its own: run_server.py ARTEFACT SETTINGS-AS-JSON.

Says the address, and at the end whether torch was imported.
"""

import json
import sys
from pathlib import Path

from serve_toys import KINDS

from thuja.apps import CODECS
from thuja.core.errors import ThujaError
from thuja.server.server import serve
from thuja.server.settings import ServeSettings

if __name__ == "__main__":
    CODECS.update(KINDS)
    try:
        serve(Path(sys.argv[1]), ServeSettings.model_validate(json.loads(sys.argv[2])), lambda address: print(address, flush=True))
    except ThujaError as error:
        sys.exit(str(error))
    print("torch" in sys.modules, flush=True)
