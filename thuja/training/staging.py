"""A safetensors file that stays in memory: its header is made once, and its tensors are views into its bytes. Filling it again is one copy of the data,
and what is then written needs no other.

Source: the safetensors format, https://github.com/huggingface/safetensors: eight bytes of header length (little-endian), a JSON header padded with spaces,
then the data without gaps.
"""

import json

import torch
from torch import Tensor

ALIGNED = 64
"""Where the data begin, in bytes: copies from one cache line to one are a quarter faster than from one to two."""
NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32",
         torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


class Staging:
    """The file of tensors with these names, types and shapes."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        ordered = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # the widest first, so that all are aligned
        entries, place = {}, 0
        for name in ordered:
            size = tensors[name].numel() * tensors[name].element_size()
            entries[name] = {"dtype": NAMES[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [place, place + size]}
            place += size
        header = json.dumps(entries, separators=(",", ":")).encode()
        header += b" " * (-(len(header) + 8) % ALIGNED)
        before = len(header) + 8
        pinned = any(tensor.is_cuda for tensor in tensors.values())  # so that copies from the accelerator need not wait for each other
        self._bytes = torch.empty(before + place, dtype=torch.uint8, pin_memory=pinned)
        self._bytes[:before] = torch.frombuffer(bytearray(len(header).to_bytes(8, "little") + header), dtype=torch.uint8)
        data = self._bytes[before:]
        self.tensors = {name: data[entries[name]["data_offsets"][0] : entries[name]["data_offsets"][1]].view(tensors[name].dtype).view(tensors[name].shape)
                        for name in ordered}

    @torch.no_grad()
    def fill(self, tensors: dict[str, Tensor]) -> None:
        """Copy the values of all tensors in."""
        assert tensors.keys() == self.tensors.keys()
        for name, kept in self.tensors.items():
            kept.copy_(tensors[name], non_blocking=True)
        if self._bytes.is_pinned():
            torch.cuda.synchronize()

    @property
    def file(self) -> memoryview:
        """The bytes of the file; they change with the next `fill`."""
        return self._bytes.numpy().data
