"""A molecule, written as SMILES text; read by rdkit here and nowhere else.

rdkit is the extra `molecules` and is imported only when a molecule is read, so that a server of another kind needs none of it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError, MissingExtra
from thuja.fields.base import Field, histogram_distance

MARKS = ("C", "c", "N", "n", "O", "o", "S", "s", "P", "F", "Cl", "Br", "I", "[", "=", "#", "/", "@", ".", "1")
"""What a summary counts in the texts: elements, charges and isotopes (brackets), bonds, stereo marks, parts, rings."""
TOKEN = re.compile(r"Cl|Br|.", re.DOTALL)
FAKES = ("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "C", "[H][H]", "[Na+].[Cl-]", "C[C@H](N)C(=O)O", "C/C=C\\C", "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O",
         "[2H]C([2H])([2H])Cl", "O=C1c2ccccc2C(=O)N1", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "[O-][N+](=O)c1ccccc1", "C#N", "F[P-](F)(F)(F)(F)F", "C[Si](C)(C)C")


class Molecule(Field):
    """SMILES text of one molecule, or of a salt or mixture whose parts are joined by dots. What is drawn differently but is the same molecule is the same."""

    kind: Literal["molecule"] = "molecule"
    max_characters: int = 4000
    """Longest text taken, looked at before rdkit sees it."""
    max_atoms: int = 500
    """Most atoms, hydrogens that are not written apart left out."""

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str):
            found = "nothing" if value is None or value != value else type(value).__name__
            raise DataError(where, expected="SMILES text", found=found, fix='Send a molecule such as "CCO".')
        if not value.strip():
            raise DataError(where, expected="SMILES text", found="empty text", fix='Send a molecule such as "CCO".')
        if len(value) > self.max_characters:
            raise DataError(where, expected=f"at most {self.max_characters} characters", found=str(len(value)), fix="Send a smaller molecule.")

    def read(self, value: Any, where: str) -> Any:
        """An rdkit molecule: sanitised (valences, aromaticity, rings), hydrogens implicit, atoms in an order that does not depend on how it was written.

        Raises: DataError for what is no molecule; MissingExtra without rdkit.
        """
        self.check(value, where)
        chem, base = rdkit()
        with base.BlockLogs():  # rdkit writes what it thinks of a text to the terminal
            molecule = chem.MolFromSmiles(value.strip(), sanitize=False)
            if molecule is None:
                raise DataError(where, expected="SMILES text", found=f"{_short(value)}, which cannot be read",
                                fix="Check brackets, rings and names of elements.")
            try:
                chem.SanitizeMol(molecule)
                chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
                molecule = chem.RemoveHs(molecule)
            except (ValueError, RuntimeError) as error:  # rdkit's own kinds of exception are ValueErrors
                raise DataError(where, expected="a molecule that can exist", found=f"{_short(value)}: {_reason(error)}",
                                fix="Check charges, valences and aromatic atoms.") from error
            if not molecule.GetNumAtoms():
                raise DataError(where, expected="at least one atom", found=_short(value), fix='Send a molecule such as "CCO".')
            if molecule.GetNumAtoms() > self.max_atoms:
                raise DataError(where, expected=f"at most {self.max_atoms} atoms", found=str(molecule.GetNumAtoms()), fix="Send a smaller molecule.")
            order = np.argsort(chem.CanonicalRankAtoms(molecule), kind="stable")
            return chem.RenumberAtoms(molecule, order.tolist())

    def to_json(self, value: Any) -> Any:
        return str(value)

    def from_json(self, value: Any, where: str) -> str:
        self.check(value, where)
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        text = self.description or "a molecule as SMILES"
        return {"type": "string", "minLength": 1, "maxLength": self.max_characters, "description": text, "examples": ["CCO", "c1ccccc1"]}

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        pieces = ("C", "CC", "C(C)C", "O", "N", "C(=O)", "c1ccc(cc1)", "S", "C(F)", "C(Cl)")
        made = [f"C{''.join(pieces[p] for p in rng.integers(len(pieces), size=int(rng.integers(1, 8))))}C" for _ in range(count)]
        return [FAKES[i // 2 % len(FAKES)] if i % 2 else made[i] for i in range(count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        lengths = np.array([len(v) for v in values] or [0])
        counts = Counter(token for value in values for token in TOKEN.findall(value))
        known = [counts.pop(mark, 0) for mark in MARKS]
        return {"rows": len(values), "lengths": np.histogram(np.log2(lengths + 1), bins=24, range=(0, 12))[0].tolist(),
                "marks": [*known, counts.total()]}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max(histogram_distance(old["lengths"], new["lengths"]), histogram_distance(old["marks"], new["marks"]))


def rdkit() -> tuple[Any, Any]:
    """The modules `rdkit.Chem` and `rdkit.rdBase`. Raises: MissingExtra where rdkit is not installed."""
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise MissingExtra("molecules", expected="the package rdkit", found="nothing", fix="pip install 'thuja[molecules]'") from error
    return Chem, rdBase


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."


def _reason(error: Exception) -> str:
    """What rdkit says is wrong, in one line."""
    return str(error).strip().splitlines()[0][:120]


def drawn(molecule: Any, colours: Mapping[int, tuple[float, float, float]] | None = None, size: int = 240) -> bytes:
    """An rdkit molecule as an SVG picture of `size` x `size`; `colours`: red, green and blue (0 to 1) behind atoms, by place."""
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas: Any = rdMolDraw2D.MolDraw2DSVG(size, size)
    canvas.drawOptions().bondLineWidth = 1.2
    colours = dict(colours or {})
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, molecule, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[])
    canvas.FinishDrawing()
    picture: str = canvas.GetDrawingText()
    return picture.encode()
