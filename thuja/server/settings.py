"""What an operator may set: where to listen, who may come in, and how much of everything is taken at once."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

MIB = 1 << 20


class ServeSettings(BaseModel):
    """Settings of a server; the defaults suit one small model on a shared machine. A field's docstring is its help text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address to listen on; anything beyond this machine needs a token."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 for any free one."""
    token_file: Path | None = None
    """File with the bearer token; otherwise the environment variable THUJA_TOKEN is read. Never given on the command line, where others can see it."""
    models: Path | None = None
    """Folder with the artefacts that POST /admin/swap may choose from; empty: that route is off."""
    galleries: Path | None = None
    """Folder in which galleries of enrolled people are kept, for a model that makes vectors of faces; empty: those routes are off. They also need a token."""
    gallery_key_file: Path | None = None
    """File with 64 hexadecimal digits, the key under which galleries are encrypted at rest; otherwise the environment variable THUJA_GALLERY_KEY is read.
    Without either they are plain text on the disk."""
    max_galleries: PositiveInt = 100
    """Most galleries in that folder."""
    max_people: PositiveInt = 10_000
    """Most people in a gallery."""
    max_pictures: PositiveInt = 20
    """Most pictures of a person who is enrolled."""
    threads: PositiveInt = 1
    """Cores one run of the model may use."""
    encoders: PositiveInt = 2
    """Threads that decode pictures and read text."""

    max_batch: PositiveInt = 32
    """Rows run at once; requests are joined up to this many."""
    max_delay_ms: NonNegativeFloat = 0.0
    """How long an idle model waits for company for a row; 0: it starts at once, and rows gather while it is busy."""
    max_waiting: PositiveInt = 1024
    """Rows admitted and not yet answered; more are refused with 429."""
    max_wait_s: PositiveFloat = 2.0
    """How long a row may have to wait for the model, judged by its last runs; requests that would wait longer are refused with 429 at once."""
    timeout_s: PositiveFloat = 30.0
    """Longest time for one answer; then 504. A client may ask for less with the header Request-Timeout (seconds). Of an answer that is streamed: for its
    first piece (only that is the client's to shorten), and between one piece and the next."""
    stream_s: PositiveFloat = 300.0
    """Longest time for a whole answer that is streamed; then its last event is an error."""

    max_body_bytes: PositiveInt = 32 * MIB
    """Largest body of a request."""
    max_held_bytes: PositiveInt = 256 * MIB
    """All bodies together that may be in memory at one time; more are refused with 429."""
    max_state_bytes: PositiveInt = 1024 * MIB
    """All that answers made step by step hold together between two steps (caches, mostly); more answers are refused with 429."""
    max_rows: PositiveInt = 256
    """Most rows in one request."""
    max_elements: PositiveInt = 16_000_000
    """Most numbers in one tensor."""
    max_labels: PositiveInt = 1000
    """Most labels in one request, where a deployment is served."""
    max_labels_per_s: PositiveInt = 1000
    """Labels taken in a second, over some time; more are refused with 429."""
    max_warm_bytes: PositiveInt = 1024 * MIB
    """The artefact of the champion before is kept loaded for going back at once, unless it is larger than this."""
    max_header_bytes: PositiveInt = 32 * 1024
    """Largest request line and headers together."""
    max_connections: PositiveInt = 1000
    """Open connections; more are answered with 503."""

    header_s: PositiveFloat = 10.0
    """Longest time for the headers of a request to arrive."""
    body_s: PositiveFloat = 10.0
    """Time a body may take, however small; a larger one gets more, by `body_bytes_per_s`."""
    body_bytes_per_s: PositiveInt = 16 * 1024
    """Slowest body that is waited for."""
    keep_alive_s: PositiveInt = 30
    """How long an idle connection is kept."""
    ready_s: NonNegativeFloat = 3.0
    """How long the answer of /ready is remembered before the model is tried again."""
    notice_s: NonNegativeFloat = 0.5
    """After SIGTERM: how long the server says it is not ready, and still answers, before it stops listening."""
    drain_s: PositiveInt = 30
    """After that: how long it waits for requests in flight."""

    @model_validator(mode="after")
    def _room_for_one(self) -> Self:
        if self.max_waiting < self.max_rows:
            raise ValueError(f"max_waiting ({self.max_waiting}) must hold at least one request of max_rows ({self.max_rows})")
        return self
