"""Make the demo's pictures, thuja/demo/cells.zip, from the BCCD blood-cell set (MIT): a window of equal size around the centre of every white cell,
every platelet, and a like number of red cells chosen by hash.

    python tools/make_demo_data.py PATH_OF_BCCD

The zip holds cells.csv (image, label, photo), the JPEG files and the licence. `photo` says which photograph a cell was cut from, so that cells of one
photograph stay on one side of a split.
"""

import csv
import hashlib
import io
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

WINDOW, SIDE = 160, 48
KEEP = {"WBC": "white cell", "Platelets": "platelet", "RBC": "red cell"}
RED_CELLS = 380


def cells(root: Path) -> list[tuple[str, str, int, int]]:
    """(photo, label, x, y) of the centres of all whole boxes."""
    found = []
    for path in sorted((root / "BCCD" / "Annotations").glob("*.xml")):
        for box in ET.parse(path).getroot().iter("object"):  # noqa: S314  # a file of ours, once
            name = box.findtext("name", "")
            x0, y0, x1, y1 = (int(box.findtext(f"bndbox/{k}", "0")) for k in ("xmin", "ymin", "xmax", "ymax"))
            if name in KEEP and x1 - x0 > 8 and y1 - y0 > 8:
                found.append((path.stem, KEEP[name], (x0 + x1) // 2, (y0 + y1) // 2))
    reds = sorted((c for c in found if c[1] == "red cell"), key=lambda c: hashlib.sha256(repr(c).encode()).digest())[:RED_CELLS]
    return sorted([c for c in found if c[1] != "red cell"] + reds)


def window(photo: Image.Image, x: int, y: int) -> bytes:
    """A square of WINDOW pixels around (x, y), mirrored at the edges, scaled to SIDE, as JPEG."""
    half = WINDOW // 2
    pixels = np.pad(np.asarray(photo.convert("RGB")), ((half, half), (half, half), (0, 0)), mode="reflect")
    cut = Image.fromarray(pixels[y : y + WINDOW, x : x + WINDOW]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    cut.save(out, "JPEG", quality=85)
    return out.getvalue()


def main(root: Path, out: Path) -> None:
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["image", "label", "photo"])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number, (photo, label, x, y) in enumerate(cells(root)):
            with Image.open(root / "BCCD" / "JPEGImages" / f"{photo}.jpg") as picture:
                name = f"{number:04d}.jpg"
                archive.writestr(zipfile.ZipInfo(name), window(picture, x, y))
                table.writerow([name, label, photo])
        archive.writestr(zipfile.ZipInfo("cells.csv"), rows.getvalue())
        archive.writestr(zipfile.ZipInfo("LICENSE"), (root / "LICENSE").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "thuja" / "demo" / "cells.zip")
