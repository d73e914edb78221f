"""A recording: file bytes, a file on disk, or an array of samples; decoded here and nowhere else."""

import base64
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.core.errors import DataError, MissingExtra
from thuja.fields.base import Field, from_base64, histogram_distance

EXTRA = "Type: pip install 'thuja[audio]'"
LOWEST, HIGHEST = 1000, 768_000
"""Samples a second that a file may say it has."""
MOST_CHANNELS = 64
MOST_CHUNKS = 1000
"""Of a WAV file; an honest one has some five."""
CLIPPED = 0.5
"""Share of the samples at full scale beyond which nothing is left to hear."""
FULL = 0.9995
"""Of full scale: 32,752 of 32,768."""
UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What programs that write into a pipe give as the length of the samples."""


class Head(NamedTuple):
    """What a file says of itself before anything is decoded."""

    rate: int
    """Samples a second."""
    channels: int
    frames: int
    """Samples of each channel."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.rate


class _Pcm(NamedTuple):
    """Where the samples of a plain WAV file lie."""

    head: Head
    start: int
    end: int
    kind: str
    """Type of a sample, as numpy writes it; "<i3" for 24 bits."""
    whole: bool


class Audio(Field):
    """A recording of any rate and number of channels, mixed down to one and resampled to `rate`.

    WAV files with plain samples at that rate need no other package; other rates, FLAC, Ogg and MP3 need the extra `audio`.
    """

    kind: Literal["audio"] = "audio"
    rate: int = 16_000
    """Samples a second of what `decode` gives; an array is taken to have them already."""
    max_seconds: float = 60.0
    """Longest recording, read from the header before anything is decoded."""
    max_bytes: int = 20_000_000

    def check(self, value: Any, where: str) -> None:
        if isinstance(value, np.ndarray):
            self._check_array(value, where)
        elif not isinstance(value, (bytes, Path)):
            raise DataError(where, expected="a recording", found=f"text {value[:40]!r}" if isinstance(value, str) else type(value).__name__,
                            fix="Give the bytes of a WAV, FLAC or Ogg file, or an array of samples.")
        elif isinstance(value, bytes) and not value:
            raise DataError(where, expected="a recording", found="an empty file", fix="Record again.")

    def _check_array(self, value: np.ndarray, where: str) -> None:
        if value.dtype not in (np.int16, np.float32, np.float64) or value.ndim not in (1, 2) or (value.ndim == 2 and not 1 <= value.shape[1] <= MOST_CHANNELS):
            raise DataError(where, expected="samples as int16 or float, [samples] or [samples, channels]", found=f"{value.dtype} of shape {value.shape}",
                            fix="Convert with astype('float32'); channels come last.")
        if value.dtype.kind == "f" and value.size and not np.abs(value).max() <= 1:  # also where it is no number
            worst = np.abs(value).max()
            found = f"{worst:g}" if np.isfinite(worst) else "a value that is no number"
            raise DataError(where, expected="samples from -1 to 1", found=found, fix="Divide by full scale (32768 for 16 bits), and repair what is no number.")
        self._check_length(Head(self.rate, 1, len(value)), where)

    def _check_length(self, head: Head, where: str) -> None:
        if not head.frames:
            raise DataError(where, expected="a recording", found="one of no length", fix="Record again.")
        if not (LOWEST <= head.rate <= HIGHEST and 1 <= head.channels <= MOST_CHANNELS):
            raise DataError(where, expected=f"{LOWEST} to {HIGHEST} samples a second in at most {MOST_CHANNELS} channels",
                            found=f"{head.rate} in {head.channels}", fix="Save the file again.")
        if head.seconds > self.max_seconds:
            raise DataError(where, expected=f"at most {self.max_seconds:g} seconds", found=f"{head.seconds:.1f}",
                            fix="Cut the recording into pieces, or raise max_seconds.")

    def head(self, value: Any, where: str) -> Head:
        """What a raw value says of itself. Raises: DataError for what is no recording; MissingExtra where it cannot be read without the extra `audio`."""
        self.check(value, where)
        if isinstance(value, np.ndarray):
            return Head(self.rate, 1 if value.ndim == 1 else value.shape[1], len(value))
        data = self._bytes(value, where)
        pcm = _riff(data)
        return pcm.head if pcm is not None else _other_head(data, where)

    def decode(self, value: Any, where: str) -> np.ndarray:
        """The samples of a raw value: float32 [samples], -1 to 1, one channel (the mean of all), `rate` a second.

        Raises: DataError for what is no whole recording of at most `max_seconds`, holds values that are no numbers, or is clipped beyond use; MissingExtra.
        """
        self.check(value, where)
        if isinstance(value, np.ndarray):
            rate, samples = self.rate, _scaled(value)
        else:
            data = self._bytes(value, where)
            pcm = _riff(data)
            head = pcm.head if pcm is not None else _other_head(data, where)
            self._check_length(head, where)
            if pcm is not None and not pcm.whole:
                raise DataError(where, expected="a whole recording", found="a truncated file", fix="Save the file again, or leave it out.")
            rate, samples = head.rate, _samples(data, pcm) if pcm is not None else _other_samples(data, where)
        if not np.isfinite(samples).all():
            raise DataError(where, expected="samples that are numbers", found="NaN or infinity", fix="Repair the recording, or leave it out.")
        if (share := float((np.abs(samples) >= FULL).mean())) > CLIPPED:
            raise DataError(where, expected="a recording that is not clipped", found=f"{share:.0%} of the samples at full scale",
                            fix="Record again with a lower input level.")
        mono = samples.mean(axis=1, dtype=np.float32) if samples.ndim == 2 else samples
        return mono if rate == self.rate else np.clip(_resampled(mono, rate, self.rate), -1, 1)

    def _bytes(self, value: bytes | Path, where: str) -> bytes:
        try:
            size = value.stat().st_size if isinstance(value, Path) else len(value)
            if size > self.max_bytes:
                raise DataError(where, expected=f"at most {self.max_bytes} bytes", found=str(size), fix="Send a shorter recording.")
            return value.read_bytes() if isinstance(value, Path) else value
        except OSError as error:
            raise DataError(where, expected="a readable file", found=error.strerror or "an error",
                            fix="Check that the file is there and may be read.") from error

    def to_json(self, value: Any) -> Any:
        if isinstance(value, Path):
            value = value.read_bytes()
        if isinstance(value, np.ndarray):
            value = wav(_scaled(value), self.rate)
        return base64.b64encode(value).decode()

    def from_json(self, value: Any, where: str) -> bytes:
        data = from_base64(value, where, "a recording", self.max_bytes, "Send a shorter recording.")
        self.check(data, where)
        return data

    def json_schema(self) -> dict[str, Any]:
        text = self.description or "a WAV, FLAC or Ogg file as base64"
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "audio/*", "description": text}

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        return [_odd_file(rng, i, self.rate, self.max_seconds) for i in range(count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        decoded = [self.decode(value, "recording") for value in values]
        seconds = np.array([len(samples) / self.rate for samples in decoded])
        loudness = np.array([10 * np.log10(np.mean(samples**2) + 1e-9) for samples in decoded])
        return {"rows": len(values), "mean_seconds": float(seconds.mean()) if len(seconds) else None,
                "seconds": np.histogram(np.log2(seconds + 1e-3), bins=24, range=(-6, 12))[0].tolist(),
                "decibels": np.histogram(loudness, bins=18, range=(-90, 0))[0].tolist()}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max(histogram_distance(old[key], new[key]) for key in ("seconds", "decibels"))


def wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits: float [samples] or [samples, channels], -1 to 1."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    body = whole_numbers(samples).astype("<i2").tobytes()
    return _wav_head(1, channels, rate, 16, len(body)) + body


def whole_numbers(samples: np.ndarray) -> np.ndarray:
    """Samples from -1 to 1 as int16: those of a file of 16 bits come back as they were."""
    return np.round(samples * np.float32(32768)).clip(-32768, 32767).astype(np.int16)


def _wav_head(tag: int, channels: int, rate: int, bits: int, size: int) -> bytes:
    align = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * align, align, bits)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def _riff(data: bytes) -> _Pcm | None:
    """Where a WAV file keeps its plain samples; None where it is something else, or its samples are packed in a way that is not plain."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, form = 12, (0, 0, 0, 0, 0, 0)
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return None
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and size >= 16 and at + size <= len(data):
            form = struct.unpack_from("<HHIIHH", data, at)
            if form[0] == 0xFFFE and size >= 40:  # the extensible form: the real tag follows
                form = (struct.unpack_from("<H", data, at + 24)[0], *form[1:])
        elif name == b"data":
            return _placed(form, at, size, len(data))
        at += size + size % 2
    return None


def _placed(form: tuple[int, ...], start: int, size: int, total: int) -> _Pcm | None:
    tag, channels, rate, _, _, bits = form
    kind = {(1, 8): "u1", (1, 16): "<i2", (1, 24): "<i3", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}.get((tag, bits))
    if kind is None or not channels or not rate:
        return None
    there = total - start
    wanted = there if size in UNKNOWN_SIZES else size
    frames = min(wanted, there) // (channels * bits // 8)
    return _Pcm(Head(rate, channels, frames), start, start + frames * channels * bits // 8, kind, wanted <= there)


def _samples(data: bytes, pcm: _Pcm) -> np.ndarray:
    """float32 [samples, channels]."""
    raw = np.frombuffer(data, np.uint8, pcm.end - pcm.start, pcm.start)
    if pcm.kind == "<i3":
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        values = wide.view("<i4")[:, 0]
    else:
        values = raw.view(pcm.kind)
    return _scaled(values).reshape(-1, pcm.head.channels)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Samples of any type as float32, -1 to 1."""
    match values.dtype.kind:
        case "u":
            scaled = (values.astype(np.float32) - 128) / 128
        case "i":
            scaled = values / float(2 ** (8 * values.dtype.itemsize - 1))
        case _:
            scaled = np.clip(values, -1, 1)
    return np.asarray(scaled, np.float32)


def _soundfile(data: bytes) -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtra(_describe(data), expected="the package soundfile", found="none",
                           fix=f"{EXTRA}. Without it, WAV files with plain samples can be read.") from error
    return soundfile


def _other_head(data: bytes, where: str) -> Head:
    soundfile = _soundfile(data)
    try:
        about = soundfile.info(io.BytesIO(data))
    except soundfile.SoundFileError as error:
        raise _no_recording(data, where) from error
    return Head(about.samplerate, about.channels, about.frames)


def _other_samples(data: bytes, where: str) -> np.ndarray:
    soundfile = _soundfile(data)
    try:
        samples: np.ndarray = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    except soundfile.SoundFileError as error:
        raise DataError(where, expected="a whole recording", found="a truncated or damaged file", fix="Save the file again, or leave it out.") from error
    if not len(samples):
        raise DataError(where, expected="a whole recording", found="a truncated or damaged file", fix="Save the file again, or leave it out.")
    return _scaled(samples)


def _resampled(mono: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra(f"a recording at {rate} Hz", expected="the package soxr", found="none",
                           fix=f"{EXTRA}, or give recordings at {wanted} Hz.") from error
    samples: np.ndarray = soxr.resample(mono, rate, wanted)
    return samples.astype(np.float32) if len(samples) else np.zeros(1, np.float32)


def _no_recording(data: bytes, where: str) -> DataError:
    return DataError(where, expected="a recording", found=_describe(data), fix="Send a whole WAV, FLAC, Ogg or MP3 file.")


def _describe(data: bytes) -> str:
    try:
        return f"text {data[:40].decode()!r}"
    except UnicodeDecodeError:
        known = {b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"RIFF": "a WAV file with packed samples", b"\x1aE\xdf\xa3": "a WebM file",
                 b"ID3\x03": "an MP3 file", b"ID3\x04": "an MP3 file"}
        return known.get(data[:4], f"{len(data)} bytes of something else")


def _odd_file(rng: np.random.Generator, kind: int, rate: int, longest: float) -> bytes:
    """A made-up recording: sliding tones in noise, in turn plain, stereo, of 8, 24 and 32 bits, somewhat clipped, silent, and of one sample."""
    seconds = float(rng.uniform(0.1, min(1.2, longest)))
    time = np.arange(max(int(seconds * rate), 1)) / rate
    low, high = rng.uniform(100, rate / 4, size=2)
    tone = np.sin(2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))) * np.sin(np.pi * time / seconds)
    samples = (0.3 * tone + 0.01 * rng.standard_normal(len(time))).clip(-1, 1)
    match kind % 8:
        case 1:
            return wav(np.stack([samples, 0.5 * samples], axis=1), rate)
        case 2:
            return _made(1, 8, rate, np.round(samples * 127 + 128).astype("u1"))
        case 3:
            return _made(1, 24, rate, np.round(samples * (2**23 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3])
        case 4:
            return _made(3, 32, rate, samples.astype("<f4"))
        case 5:
            return wav((4 * samples).clip(-1, 1), rate)
        case 6:
            return wav(np.zeros(rate // 4), rate)
        case 7:
            return wav(samples[:1], rate)
        case _:
            return wav(samples, rate)


def _made(tag: int, bits: int, rate: int, values: np.ndarray) -> bytes:
    """A WAV file of one channel with samples that are laid out already."""
    body: bytes = values.tobytes()
    return _wav_head(tag, 1, rate, bits, len(body)) + body
