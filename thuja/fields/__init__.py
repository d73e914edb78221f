"""What may cross the boundary between the world and a model; one family of fields per file. No torch."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator

from thuja.fields.audio import Audio as Audio
from thuja.fields.base import Field as Field
from thuja.fields.boxes import Boxes as Boxes
from thuja.fields.category import Category as Category
from thuja.fields.category import Scores as Scores
from thuja.fields.image import Image as Image
from thuja.fields.items import Items as Items
from thuja.fields.items import Ranking as Ranking
from thuja.fields.labels import Labels as Labels
from thuja.fields.mask import Mask as Mask
from thuja.fields.molecule import Molecule as Molecule
from thuja.fields.number import Number as Number
from thuja.fields.observation import Observation as Observation
from thuja.fields.series import Moment as Moment
from thuja.fields.series import Series as Series
from thuja.fields.text import Text as Text
from thuja.fields.vector import Vector as Vector

AnyField = Annotated[
    Audio | Boxes | Category | Image | Items | Labels | Mask | Molecule | Moment | Number | Observation | Ranking | Scores | Series | Text | Vector,
    Discriminator("kind")]


class Schema(BaseModel):
    """The typed values that go in and come out of an application, by name and in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: dict[str, AnyField]
    outputs: dict[str, AnyField]
