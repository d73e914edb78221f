"""Pictures of faces to arrays, and the network's vectors to plain ones. No torch."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core import digest
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import Image, Schema, Vector

EMBEDDING = "embedding"
"""The output that is compared."""
RATES = {0.01: "threshold_far_1e2", 0.001: "threshold_far_1e3"}
"""False accept rates and the metrics that say which similarity keeps them."""
CAUTIONS = (
    "A face is biometric data: enrol or search nobody without their informed, freely given and revocable consent, or another ground in law; in many places "
    "(in the European Union: Regulation 2016/679, article 9, and Regulation 2024/1689, article 5) some uses are forbidden whatever the consent.",
    "Not for surveillance, for finding strangers in crowds or on the net, for guessing feelings, origin, health or character, nor for any decision about a "
    "person that no human being reviews.",
    "No face detector and no check that a living person is in front of the camera: pictures must show one face, cut out as the training pictures are; a "
    "printed photograph passes as well as its subject.",
    "The figures hold for people, cameras and light like those of the test rows. Error rates differ between groups of people, often by a factor of ten and "
    "more; they are unknown here unless `evaluate.slices` names columns that tell groups apart.",
    "A threshold holds for the comparison of two pictures. Searching a gallery of n pictures makes about n comparisons: false matches grow with it.",
    "No name of a training person is in the artefact, but hashes of the names, and in the weights a prototype of each: treat it as data about them.",
)


class FaceRecognitionCodec(Codec):
    """A picture of one face as uint8 [height, width, channels], and who it is as int64 [2]: the person's place among those of the training rows (-1 for
    others), and a number that is the same for one person everywhere.

    A picture is turned upright, brought to grey or colour, and scaled as a whole to height x width. Nothing is looked for in it: there is no face detector.
    """

    kind: Literal["face-recognition"] = "face-recognition"
    image: str
    """Name of the column with pictures."""
    target: str
    """Name of the column that says who it is."""
    people: tuple[str, ...] = ()
    """Hashes of the names of the training people, in the order of the prototypes; names are nobody's business in an artefact."""
    field: Image = Image(description="A picture of one face, cut out as those in training are.")
    height: int
    width: int
    dim: int = 128
    """Numbers in a vector."""
    mean: tuple[float, ...] = ()
    """Of each channel over the training pixels, 0 to 255."""
    std: tuple[float, ...] = ()
    """Standard deviation, likewise."""
    moments: tuple[tuple[float, ...], ...] = ()
    """Mean products of the pixels of small standardised patches: what neighbouring pixels have in common."""

    def schema(self) -> Schema:  # type: ignore[override]
        """A picture in, a unit vector out."""
        about = "Stands for the face: the dot product with another picture's says how alike they are, from -1 to 1."
        return Schema(inputs={self.image: self.field}, outputs={EMBEDDING: Vector(length=self.dim, unit=True, description=about)})

    def encode(self, rows: Rows) -> Columns:
        """The image column uint8 [rows, height, width, channels], and the target int64 [rows, 2] where it is there.

        Raises: BadRows for pictures that cannot be decoded and rows without a name; DataError for an absent image column.
        """
        if self.image not in rows:
            raise DataError(self.image, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.image, rows))
        bad: dict[int, DataError] = {}
        values = rows[self.image]
        shape = (self.height, self.width, self.field.channels)
        pictures = np.zeros((len(values), *shape), np.uint8)
        for i, value in enumerate(values):
            try:
                if isinstance(value, np.ndarray) and value.dtype == np.uint8 and (value.shape == shape or (*value.shape, 1) == shape):
                    pictures[i] = value.reshape(shape)  # what Pillow would return, fifty times sooner
                else:
                    pictures[i] = self.field.decode(value, f"rows[{i}].{self.image}", shape[:2])
            except DataError as error:
                bad[i] = error
        columns: Columns = {self.image: pictures}
        if self.target in rows:
            columns[self.target] = self._targets(rows[self.target], bad)
        if bad:
            raise BadRows(dict(bad))
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`embedding` float [rows, dim] as lists."""
        return {EMBEDDING: outputs[EMBEDDING].astype(float).tolist()}

    def enrolled(self) -> tuple[str, str]:
        """What a gallery is asked with, and what it compares (`thuja.codec.Embedder`)."""
        return self.image, EMBEDDING

    def thresholds(self) -> dict[float, str]:
        """Metrics of the evaluation that say from which similarity on two pictures count as one person's."""
        return RATES

    def cautions(self) -> tuple[str, ...]:
        """Limits and consent."""
        return CAUTIONS

    def _targets(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        places = {person: i for i, person in enumerate(self.people)}
        targets = np.zeros((len(values), 2), np.int64)
        for i, value in enumerate(values):
            if value is None or value == "":
                bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="the name of a person", found="nothing", fix="Give every picture a name."))
            else:
                person = hashed(name_of(value))
                targets[i] = places.get(person, -1), int(person, 16)
        return targets


def name_of(value: Any) -> str:
    """Who a raw value stands for; whole numbers are written without a point, so that 3.0, 3 and "3" are one person.

    >>> name_of(3.0), name_of("s1")
    ('3', 's1')
    """
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)


def hashed(name: str) -> str:
    """What stands for a person in the codec: 15 hexadecimal digits of a hash of the name, which fit into an int64.

    >>> hashed("s1") == hashed("s1") != hashed("s2"), len(hashed("s1"))
    (True, 15)
    """
    return digest.of_bytes(f"person {name}".encode())[:15]
