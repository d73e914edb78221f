"""The sections of a spec that every application shares: frozen, plain, no torch. A field's docstring is its help text.

`auto` is a blank: it is settled before step one by pure functions, the settled value is saved beside the run with its reason, and a typed value is
never overruled.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

Auto = Literal["auto"]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen part of a spec; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def seconds(value: Any) -> Any:
    """Read "90", "90s", "5m" or "1h" as seconds.

    >>> seconds("5m"), seconds(60), seconds("1.5h")
    (300.0, 60, 5400.0)
    """
    if isinstance(value, str) and value and value[-1] in "smh":
        try:
            return float(value[:-1]) * {"s": 1, "m": 60, "h": 3600}[value[-1]]
        except ValueError:
            return value
    return value


def device(value: str) -> str:
    """The name of a device, unchanged. Raises: ValueError for a word that names none."""
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", value):
        raise ValueError("cpu, mps, cuda or cuda:1")
    return value


Device = Annotated[str, AfterValidator(device)]
Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]


class HashSplit(Section):
    """Rows go by the hash of their content or id: adding rows never moves old ones."""

    kind: Literal["hash"] = "hash"
    validation: Share = 0.1
    test: Share = 0.2
    seed: int = 0
    """Another number, another split, as independent of the others as chance; 0 is the usual one."""


class GroupSplit(Section):
    """Whole groups (a patient, a customer) stay together, by the hash of their name."""

    kind: Literal["group"] = "group"
    column: str
    validation: Share = 0.1
    test: Share = 0.2


class ScaffoldSplit(Section):
    """Molecules with an equal scaffold (rings and what joins them) stay together, those with the commonest scaffolds train: the split of MoleculeNet."""

    kind: Literal["scaffold"] = "scaffold"
    column: str
    """The column with molecules as SMILES."""
    validation: Share = 0.1
    test: Share = 0.1


class TimeSplit(Section):
    """The past trains, the future tests; rows at equal times stay together."""

    kind: Literal["time"] = "time"
    column: str
    validation: Share = 0.1
    test: Share = 0.2
    borders: Annotated[tuple[str | float, ...], Field(max_length=3)] = ()
    """In place of shares: the times from which on rows are validation rows, and test rows; a third is the end, from which on rows are left out."""


class OrderSplit(Section):
    """The first rows train, the last test: where rows are passages of one text, or their order is that of time."""

    kind: Literal["order"] = "order"
    validation: Share = 0.1
    test: Share = 0.2


class GivenSplit(Section):
    """The data say which row belongs where: by folder (train/ val/ test/), by file (`data.test`), or by a column.

    What is not given (usually validation) is taken from the training rows by hash.
    """

    kind: Literal["given"] = "given"
    column: str | None = None
    """The column with train, validation, test; empty: folders or files."""
    test: tuple[str, ...] = ()
    """Values of the column whose rows test, where it does not say train and test: the last takes of everyone, some people, a year. All others train."""
    validation: Share = 0.1
    """Share taken from training rows where no validation rows are given."""


Split = Annotated[HashSplit | GroupSplit | ScaffoldSplit | TimeSplit | OrderSplit | GivenSplit, Discriminator("kind")]


class Data(Section):
    """Where the rows are."""

    path: str = ""
    """A folder or a file, relative to the spec; empty when a Python object is passed."""
    validation: str | None = None
    """A separate file or folder with validation rows."""
    test: str | None = None
    """A separate file or folder with test rows."""
    format: Auto | Literal["image-folder", "medical", "masks", "audio-folder", "csv", "parquet", "jsonl", "idx", "parallel", "text", "ts",
                           "turbofan", "sequences", "episodes", "voc", "coco", "yolo"] = "auto"
    """What the data are; auto: seen from names and contents."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """CSV: the separator; empty: found by looking."""
    encoding: str = "utf-8"
    """CSV and JSONL: the text encoding."""
    names: tuple[str, ...] = ()
    """CSV without a header line: the column names."""
    missing: tuple[str, ...] = ("", "NA", "N/A", "nan", "NaN", "null", "NULL", "?")
    """CSV: cells that mean nothing is there."""
    files: tuple[str, ...] = ()
    """Columns that hold paths of files, relative to the data."""
    pattern: str = ""
    """A folder of recordings or pictures: what their names say, columns in braces, such as {text}_{speaker}_{take}, or {label}/{take} for pictures in folders.
    Empty: guessed where it is needed."""
    split: Auto | Split = "auto"
    """Which rows train, validate and test. Auto: given parts, else by group, else by time, else by hash."""
    group: str | None = None
    """Rows with an equal value here belong together (one patient): splits and intervals respect it."""
    bad_rows: Share = 0.01
    """Largest share of rows that may be unreadable; they are counted and named, never dropped in silence."""


class Check(Section):
    """What is looked at before training."""

    enabled: bool = True
    waive: dict[str, str] = {}
    """Findings accepted on purpose: the name of the check, and why. Recorded in the card."""


class SGD(Section):
    """Stochastic gradient descent with Nesterov momentum."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: PositiveFloat = 0.1
    momentum: NonNegativeFloat = 0.9
    weight_decay: NonNegativeFloat = 5e-4


class AdamW(Section):
    """Adam with decoupled weight decay (matrices only)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: PositiveFloat = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: NonNegativeFloat = 0.01


class Muon(Section):
    """Orthogonalised momentum for hidden matrices and filters, AdamW for everything else (embeddings, head, biases, norms)."""

    kind: Literal["muon"] = "muon"
    learning_rate: PositiveFloat = 0.02
    momentum: NonNegativeFloat = 0.95
    weight_decay: NonNegativeFloat = 0.01
    adamw: AdamW = AdamW()


Optimizer = Annotated[SGD | AdamW | Muon, Discriminator("kind")]


class Train(Section):
    """How the weights are found."""

    budget: Seconds | None = None
    """Wall time of training, such as 60s or 5m; sets the number of steps by timing a few before the run."""
    steps: Auto | PositiveInt = "auto"
    """Updates in all; the schedule's horizon."""
    epochs: PositiveFloat | None = None
    """Passes over the training rows; another way to say steps."""
    batch: Auto | PositiveInt = "auto"
    """Rows a step."""
    accumulate: PositiveInt = 1
    """Parts into which a batch is cut to save memory; the update equals the whole batch's."""
    optimizer: Auto | Optimizer = "auto"
    """sgd, adamw or muon, with its own keys; auto: what the task knows to suit it."""
    schedule: Auto | Literal["constant", "linear", "cosine", "trapezoid"] = "auto"
    """How the learning rate falls after warm-up."""
    warmup: Auto | Share = "auto"
    """Share of the steps in which the learning rate rises from zero."""
    ema: Auto | Share = "auto"
    """Decay of the moving average of the weights that is evaluated and exported; 0 for none."""
    clip: NonNegativeFloat = 0.0
    """Largest gradient norm; 0 for no clipping."""
    precision: Auto | Literal["float32", "bfloat16"] = "auto"
    """Of activations; weights are float32. Auto: bfloat16 on an accelerator; on a CPU float32, unless a long run measures that bfloat16 is faster."""
    compile: Auto | bool = "auto"
    """Compile the network first: some 15 to 20 s on a CPU. Auto: no, unless a very long run on a CPU measures that it pays."""
    threads: Auto | Annotated[int, Field(gt=0, le=1024)] = "auto"
    """CPU threads of training. They decide the last bits of sums, so a run keeps its number. Auto: all cores, unless a long run measures that fewer are
    faster."""
    device: Auto | Device = "auto"
    """cpu, cuda, cuda:1; auto: an accelerator if there is one."""
    freeze: Annotated[float, Field(ge=0, le=1)] | tuple[str, ...] = 0.0
    """Going on from a `parent`: the share of the layers, from the input on, whose weights stay as they are (1: all but the head), or their names."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Going on from a `parent`: each layer learns at this many times the rate of the layer after it, so that what is general moves least; 1: all alike."""
    seed: int = 0
    """Reaches every random stream; the same seed gives the same bits."""
    evaluate_every: Auto | PositiveInt = "auto"
    """Steps between looks at the validation rows."""
    save_every: Auto | PositiveInt = "auto"
    """Steps between checkpoints."""
    patience: PositiveInt | None = None
    """Stop after this many looks without a better one, and keep the best; empty: run to the horizon and keep the last."""
    watch: bool = True
    """Stop with a diagnosis when training cannot succeed (dead units, one-class output, loss worse than guessing)."""


class Evaluate(Section):
    """How the result is judged."""

    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of every interval."""
    resamples: PositiveInt = 1000
    """Bootstrap draws where no closed form is used."""
    slices: tuple[str, ...] = ()
    """Columns by whose values the metrics are also shown."""
    baseline: bool = True
    """Train a classical model on the same rows and compare, row by row."""


class Export(Section):
    """What leaves the house."""

    tolerance: PositiveFloat = 1e-4
    """Largest difference of any output between training code, artefact and server."""
    int8: bool = False
    """Quantise weights to 8 bits; the change of every metric is reported."""
