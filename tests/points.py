"""Points in the plane, for the generators among the odd ones: noise in, points out."""

from typing import Any, Literal

import numpy as np

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.fields import Number, Schema


class PointCodec(Codec):
    kind: Literal["points"] = "points"

    def schema(self) -> Schema:
        return Schema(inputs={"noise_x": Number(), "noise_y": Number()}, outputs={"x": Number(), "y": Number()})

    def encode(self, rows: Rows) -> Columns:
        """`noise` float32 [rows, 2] where there is some (to answer), `point` float32 [rows, 2] where there are targets (to learn)."""
        pairs = {"noise": ("noise_x", "noise_y"), "point": ("x", "y")}
        return {name: np.stack([np.asarray(rows[n], np.float32) for n in parts], axis=1) for name, parts in pairs.items() if parts[0] in rows}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"x": outputs["point"][:, 0].tolist(), "y": outputs["point"][:, 1].tolist()}
