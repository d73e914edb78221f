"""Recordings: whatever a microphone, a telephone or an attacker sends becomes samples at one rate, or a four-part error."""

import base64
import builtins
import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from thuja.core.errors import DataError, MissingExtra
from thuja.fields import Audio
from thuja.fields.audio import wav, whole_numbers
from thuja.testing import check_field

RATE = 8000
FIELD = Audio(rate=RATE, max_seconds=2)
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)


def pcm(samples: np.ndarray, rate: int = RATE, width: int = 2) -> bytes:
    """A WAV file by the standard library: whole numbers [samples, channels] of `width` bytes."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        raw = samples.astype("<i4").view(np.uint8).reshape(*samples.shape, 4)[:, :, :width]
        file.writeframes(raw.tobytes() if width > 1 else (samples + 128).astype(np.uint8).tobytes())
    return out.getvalue()


def refusal(value: object, field: Audio = FIELD) -> str:
    with pytest.raises(DataError) as caught:
        field.decode(value, "rows[3].audio")
    return str(caught.value)


def test_the_promises_of_a_field() -> None:
    check_field(FIELD)
    check_field(Audio(rate=16_000))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_plain_samples_of_every_width_come_back_as_they_were(width: int) -> None:
    full = 2 ** (8 * width - 1)
    values = np.array([[0], [full // 2], [-full // 2], [full - 1], [-full], [1], [0], [0], [0], [0]])
    np.testing.assert_array_equal(FIELD.decode(pcm(values, width=width), "a"), (values[:, 0] / full).astype(np.float32))


def test_float_samples_the_extensible_form_and_odd_chunks_are_read() -> None:
    import soundfile

    for subtype in ("FLOAT", "DOUBLE", "PCM_24"):
        out = io.BytesIO()
        soundfile.write(out, TONE, RATE, format="WAVEX", subtype=subtype)
        np.testing.assert_allclose(FIELD.decode(out.getvalue(), "a"), TONE, atol=2e-7 if subtype != "PCM_24" else 1e-6)
    plain = wav(TONE, RATE)
    listed = plain[:12] + struct.pack("<4sI", b"LIST", 3) + b"abc\0" + plain[12:]  # an odd chunk is padded
    np.testing.assert_array_equal(FIELD.decode(listed, "a"), FIELD.decode(plain, "a"))


def test_a_file_written_into_a_pipe_is_read_to_its_end() -> None:
    plain = wav(TONE, RATE)
    piped = plain[:40] + struct.pack("<I", 0xFFFFFFFF) + plain[44:]
    np.testing.assert_array_equal(FIELD.decode(piped, "a"), FIELD.decode(plain, "a"))


def test_samples_of_16_bits_survive_unchanged() -> None:
    values = np.arange(-32768, 32768, 7, dtype=np.int16)
    assert (whole_numbers(Audio(rate=8000, max_seconds=60).decode(pcm(values[:, None].astype(np.int64)), "a")) == values).all()
    array = Audio(rate=8000).decode(values, "a")
    assert (whole_numbers(array) == values).all()
    again = FIELD.from_json(FIELD.to_json(TONE), "a")
    np.testing.assert_array_equal(whole_numbers(FIELD.decode(again, "a")), whole_numbers(FIELD.decode(TONE, "a")))


def test_stereo_is_mixed_down() -> None:
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    mixed = FIELD.decode(wav(np.stack([left, right], 1), RATE), "a")
    np.testing.assert_allclose(mixed, 0.125, atol=1e-4)


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000])
def test_other_rates_are_resampled_to_the_same_tone(rate: int) -> None:
    time = np.arange(rate) / rate
    heard = FIELD.decode(wav(0.5 * np.sin(2 * np.pi * 440 * time), rate), "a")
    assert abs(len(heard) - RATE) <= 1
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / RATE)
    np.testing.assert_allclose(heard[200:-200], expected[200:-200], atol=2e-3)


def test_what_is_above_half_the_new_rate_is_gone_and_not_folded_down() -> None:
    time = np.arange(48_000) / 48_000
    heard = FIELD.decode(wav(0.5 * np.sin(2 * np.pi * 7000 * time), 48_000), "a")
    assert np.abs(heard[200:-200]).max() < 1e-3


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", None), ("OGG", "VORBIS"), ("WAV", "ULAW")])
def test_other_formats_by_the_extra(form: str, subtype: str | None, tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "a.bin"
    soundfile.write(path, TONE, RATE, format=form, subtype=subtype)
    for value in (path, path.read_bytes()):
        heard = FIELD.decode(value, "a")
        assert len(heard) == len(TONE)
        assert np.corrcoef(heard, TONE)[0, 1] > 0.98
    assert FIELD.head(path, "a")[:2] == (RATE, 1)


def test_bad_recordings_are_refused_in_four_parts() -> None:
    clipped = np.sign(np.sin(np.arange(800) / 9.0))
    broken = TONE.copy()
    broken[5] = np.nan
    floats = bytearray(wav(np.zeros(0), RATE)[:44]) + broken.astype("<f4").tobytes()
    struct.pack_into("<H", floats, 20, 3)
    struct.pack_into("<H", floats, 34, 32)
    struct.pack_into("<I", floats, 40, 4 * len(broken))
    again = "Record again."
    assert {name: refusal(value) for name, value in {
        "none": b"", "length": wav(np.zeros(0), RATE)[:40] + struct.pack("<I", 0), "array": np.zeros(0, np.float32), "clipped": clipped,
        "nan": broken, "nan file": bytes(floats), "loud": TONE * 70_000, "text": b"hello there", "path": "a.wav", "cut": wav(TONE, RATE)[:-100],
        "long": np.zeros(3 * RATE, np.float32), "long file": wav(np.zeros(24_000), 8000), "list": [0.0, 0.1], "kind": np.zeros(9, np.int64),
        "picture": b"\x89PNG\r\n\x1a\n1234", "gone": Path("no/such.wav")}.items()} == {
        "none": f"rows[3].audio: expected a recording, found an empty file. {again}",
        "length": f"rows[3].audio: expected a recording, found one of no length. {again}",
        "array": f"rows[3].audio: expected a recording, found one of no length. {again}",
        "clipped": "rows[3].audio: expected a recording that is not clipped, found 100% of the samples at full scale. Record again with a lower input level.",
        "nan": "rows[3].audio: expected samples from -1 to 1, found a value that is no number. "
               "Divide by full scale (32768 for 16 bits), and repair what is no number.",
        "nan file": "rows[3].audio: expected samples that are numbers, found NaN or infinity. Repair the recording, or leave it out.",
        "loud": "rows[3].audio: expected samples from -1 to 1, found 35000. Divide by full scale (32768 for 16 bits), and repair what is no number.",
        "text": "rows[3].audio: expected a recording, found text 'hello there'. Send a whole WAV, FLAC, Ogg or MP3 file.",
        "path": "rows[3].audio: expected a recording, found text 'a.wav'. Give the bytes of a WAV, FLAC or Ogg file, or an array of samples.",
        "cut": "rows[3].audio: expected a whole recording, found a truncated file. Save the file again, or leave it out.",
        "long": "rows[3].audio: expected at most 2 seconds, found 3.0. Cut the recording into pieces, or raise max_seconds.",
        "long file": "rows[3].audio: expected at most 2 seconds, found 3.0. Cut the recording into pieces, or raise max_seconds.",
        "list": "rows[3].audio: expected a recording, found list. Give the bytes of a WAV, FLAC or Ogg file, or an array of samples.",
        "kind": "rows[3].audio: expected samples as int16 or float, [samples] or [samples, channels], found int64 of shape (9,). "
                "Convert with astype('float32'); channels come last.",
        "picture": "rows[3].audio: expected a recording, found 12 bytes of something else. Send a whole WAV, FLAC, Ogg or MP3 file.",
        "gone": "rows[3].audio: expected a readable file, found No such file or directory. Check that the file is there and may be read.",
    }


def test_some_clipping_is_taken() -> None:
    loud = np.clip(1.2 * np.sin(np.arange(2000) / 9.0), -1, 1)
    assert len(FIELD.decode(loud, "a")) == 2000


def test_limits_hold_before_anything_is_decoded(tmp_path: Path) -> None:
    small = Audio(rate=RATE, max_bytes=1000)
    assert refusal(wav(TONE, RATE), small) == "rows[3].audio: expected at most 1000 bytes, found 8044. Send a shorter recording."
    with pytest.raises(DataError, match="expected at most 1000 bytes"):
        small.from_json(base64.b64encode(wav(TONE, RATE)).decode(), "audio")
    (tmp_path / "a.wav").write_bytes(wav(TONE, RATE))
    assert "at most 1000 bytes" in refusal(tmp_path / "a.wav", small)
    slow = bytearray(wav(TONE, RATE))
    struct.pack_into("<I", slow, 24, 1)  # one sample a second would become hours
    assert refusal(bytes(slow)) == "rows[3].audio: expected 1000 to 768000 samples a second in at most 64 channels, found 1 in 1. Save the file again."
    chunks = b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"junk", 0) * 100_000
    assert "expected a recording" in refusal(chunks)


@pytest.mark.parametrize("value", [b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", b"fLaC\0", b"OggS" + bytes(60), b"\xff" * 99])
def test_torn_headers_are_refused(value: bytes) -> None:
    assert "expected a recording" in refusal(value)


def test_without_the_extra_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name in ("soundfile", "soxr"):
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    np.testing.assert_allclose(FIELD.decode(wav(TONE, RATE), "a"), TONE, atol=1e-4)
    with pytest.raises(MissingExtra) as rate:
        FIELD.decode(wav(TONE, 48_000), "a")
    assert str(rate.value) == ("a recording at 48000 Hz: expected the package soxr, found none. Type: pip install 'thuja[audio]', "
                               "or give recordings at 8000 Hz.")
    with pytest.raises(MissingExtra) as form:
        FIELD.decode(b"fLaC" + b"\xff" * 20, "a")
    assert str(form.value) == ("a FLAC file: expected the package soundfile, found none. Type: pip install 'thuja[audio]'. "
                               "Without it, WAV files with plain samples can be read.")


def test_summaries_tell_loud_from_soft_and_long_from_short() -> None:
    one, soft, long = (FIELD.summarise([value] * 4) for value in (TONE, TONE / 100, np.tile(TONE, 4)))
    assert FIELD.distance(one, soft) == 1
    assert FIELD.distance(one, long) == 1
    assert FIELD.distance(one, one) == 0
