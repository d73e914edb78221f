import subprocess
import sys

import pytest

COUNT = """
import resource
from thuja.training.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

told = keep_freed_memory() if {keep} else True
for _ in range(3):
    bytes(200 * 2**20)
before = faults()
for _ in range(3):
    bytearray(200 * 2**20)[::4096]
print(told, faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    kept, default = (subprocess.run([sys.executable, "-c", COUNT.format(keep=keep)], capture_output=True, text=True, check=True).stdout.split()
                     for keep in (True, False))
    assert kept[0] == "True"
    assert int(kept[1]) < 1000 < int(default[1])
