"""Speech recognition: CTC's search and score, the codec, the task, and the whole way to the artefact, on tones that stand for words."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.speech_recognition import ctc
from thuja.apps.speech_recognition.codec import SpeechRecognitionCodec
from thuja.apps.speech_recognition.task import SpeechRecognition
from thuja.codec import load, rectangular
from thuja.core.errors import BadRows, DataError
from thuja.data.objects import from_object
from thuja.data.order import alike
from thuja.fields.audio import wav
from thuja.graph.onnxwrite import to_onnx
from thuja.metrics import METRICS
from thuja.models.ctc_recogniser import CtcRecogniser
from thuja.settings import Data, Evaluate, Train
from thuja.spec import Spec
from thuja.task import Facts, Part
from thuja.testing import check_codec, check_task

RATE = 8000
WORDS = {"high": 2000, "low": 300, "mid": 900}
SMALL = CtcRecogniser(dim=16, depth=1, heads=2, hidden=32, bands=16)


def spoken(text: str, rng: np.random.Generator) -> np.ndarray:
    """A tone for each word, of 0.12 to 0.25 s, with gaps, in faint noise."""
    pieces = []
    for word in text.split():
        count = int(rng.integers(960, 2000))
        pieces += [0.3 * np.hanning(count) * np.sin(2 * np.pi * WORDS[word] * np.arange(count) / RATE), np.zeros(int(rng.integers(200, 800)))]
    samples = np.concatenate(pieces)
    return (samples + 0.003 * rng.standard_normal(len(samples))).astype(np.float32)


def strings(rows: int, seed: int = 0, longest: int = 3) -> dict:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(sorted(WORDS), size=int(rng.integers(1, longest + 1)))) for _ in range(rows)]
    return {"audio": [spoken(text, rng) for text in texts], "text": texts}


def codec(**changes: object) -> SpeechRecognitionCodec:
    plain = {"audio": "audio", "target": "text", "rate": RATE, "max_seconds": 2.0, "units": "words", "tokens": tuple(sorted(WORDS)), "stride": 320}
    return SpeechRecognitionCodec(**{**plain, **changes})


def logs(rows: int, frames: int, tokens: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, frames, tokens))
    return drawn - np.log(np.exp(drawn).sum(2, keepdims=True))


def likelihoods(log_probability: np.ndarray) -> dict[tuple[int, ...], float]:
    """Of every text, over all ways to spread it: one by one."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probability.shape[1]), repeat=len(log_probability)):
        text = tuple(token for token, _ in itertools.groupby(path) if token)
        found[text] = np.logaddexp(found.get(text, -np.inf), sum(log_probability[t, token] for t, token in enumerate(path)))
    return found


def test_a_wide_search_finds_the_likeliest_text_and_its_score_is_the_sum_over_all_ways() -> None:
    several, frames = logs(12, 6, 3), np.array([6, 5, 4, 3, 2, 1] * 2)
    found = ctc.beam(several, frames, 64)
    for row in range(12):
        all_texts = likelihoods(several[row, : frames[row]])
        assert tuple(found[row]) == max(all_texts, key=lambda text: all_texts[text])
        for text in list(all_texts)[:20]:
            assert ctc.score(several[row : row + 1], frames[row : row + 1], [list(text)])[0] == pytest.approx(all_texts[text], abs=1e-9)
    np.testing.assert_allclose(ctc.score(several, frames, found), [max(likelihoods(several[r, : frames[r]]).values()) for r in range(12)], atol=1e-9)


def test_a_narrow_search_is_no_worse_than_the_likeliest_frames_and_rows_do_not_see_each_other() -> None:
    several, frames = logs(40, 12, 5, seed=1), np.random.default_rng(2).integers(1, 13, 40)
    found, quick = ctc.beam(several, frames, 8), ctc.greedy(several, frames)
    better = ctc.score(several, frames, found) - ctc.score(several, frames, quick)
    assert better.min() > -1e-9
    assert better.max() > 0.1
    noisy = several.copy()
    noisy[np.arange(12) >= frames[:, None]] = 99.0  # what does not count
    assert ctc.beam(noisy, frames, 8) == found
    assert ctc.greedy(noisy, frames) == quick
    assert [ctc.beam(several[i : i + 1], frames[i : i + 1], 8)[0] for i in range(40)] == found


def test_the_likeliest_frames_are_joined_where_they_repeat() -> None:
    best = np.array([[0, 1, 1, 0, 1, 2, 2, 0]])
    certain = np.log(np.full((1, 8, 3), 0.01) + 0.97 * np.eye(3)[best])
    assert ctc.greedy(certain, np.array([8])) == [[1, 1, 2]]
    assert ctc.greedy(certain, np.array([3])) == [[1]]
    assert ctc.beam(certain, np.array([8]), 3) == [[1, 1, 2]]


def test_impossible_texts_score_minus_infinity() -> None:
    assert ctc.score(logs(1, 2, 3), np.array([2]), [[1, 1]])[0] == -np.inf


def test_batches_hold_every_row_as_often_and_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 640)
    drawn = [batch for batch, _ in zip(alike(lengths, 16, seed=3), range(100), strict=False)]
    later = [batch for batch, _ in zip(alike(lengths, 16, seed=3, start=57), range(43), strict=False)]
    assert all((a == b).all() for a, b in zip(drawn[57:], later, strict=True))
    assert (np.bincount(np.concatenate(drawn[:32])) <= 1).all()
    times = np.bincount(np.concatenate(drawn[:96]))
    assert (times.min(), times.max()) == (2, 3)  # 2.4 epochs
    spread = np.mean([np.ptp(lengths[batch]) for batch in drawn[:32]])
    assert spread < 100  # of 1000
    assert len(next(alike(lengths[:5], 8, seed=0))) == 8
    assert not all((a == b).all() for a, b in zip(drawn, alike(lengths, 16, seed=4), strict=False))


def test_encode_gives_samples_their_number_and_tokens() -> None:
    columns = codec().encode({"audio": [np.zeros(1000, np.float32), wav(np.full(400, 0.5), RATE)], "text": ["Low  mid", "high"]})
    assert columns["audio"].values.dtype == np.int16
    assert columns["audio"].offsets.tolist() == [0, 1000, 1400]
    assert columns["audio"].values[-1] == 16384
    assert columns["audio_length"].tolist() == [1000, 400]
    assert [row.tolist() for row in np.split(columns["text"].values, columns["text"].offsets[1:-1])] == [[2, 3], [1]]
    assert set(codec().encode({"audio": [np.zeros(9, np.float32)]})) == {"audio", "audio_length"}
    spelled = codec(units="characters", tokens=("a", "b")).encode({"audio": [np.zeros(4000, np.float32)], "text": ["ABBA"]})
    assert spelled["text"].values.tolist() == [1, 2, 2, 1]


def test_the_promises_of_a_codec() -> None:
    check_codec(codec(beam=3), strings(20))
    made = codec(beam=3)
    again = load(json.loads(made.dumps()), CODECS)
    assert again == made
    assert made.schema().inputs["audio"].description == "Up to 2 s. Several channels are mixed into one; other rates are resampled to 8000 Hz."


def test_a_recording_is_heard_alike_whatever_its_rate_and_channels() -> None:
    time = np.arange(48_000) / 48_000
    tone = 0.4 * np.sin(2 * np.pi * 300 * time)
    mono = codec().encode({"audio": [wav(0.4 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE), RATE)]})["audio"].values.astype(int)
    stereo = codec().encode({"audio": [wav(np.stack([tone, tone], 1), 48_000)]})["audio"].values.astype(int)
    assert len(mono) == len(stereo)
    assert np.abs(mono - stereo)[100:-100].max() < 60  # of 32768


def test_bad_rows_are_all_named() -> None:
    quiet = np.zeros(4000, np.float32)
    with pytest.raises(BadRows) as caught:
        codec().encode({"audio": [quiet, np.zeros(0, np.float32), np.full(9, np.nan), quiet, quiet, np.zeros(640, np.float32), np.ones(99), quiet],
                        "text": ["low", "low", "low", "", "low tone", "low low", "mid", None]})
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        1: "rows[1].audio: expected a recording, found one of no length. Record again.",
        2: "rows[2].audio: expected samples from -1 to 1, found a value that is no number. "
           "Divide by full scale (32768 for 16 bits), and repair what is no number.",
        3: "rows[3].text: expected what was said, found nothing. Write it, or leave the recording out.",
        4: "rows[4].text: expected known words, found 'tone'. Add training recordings with it.",
        5: "rows[5].text: expected a transcript that fits into 2 frames of 40 ms, found 2 words. "
           "Check that it belongs to this recording, or lower subsampling.",
        6: "rows[6].audio: expected a recording that is not clipped, found 100% of the samples at full scale. Record again with a lower input level.",
        7: "rows[7].text: expected what was said, found nothing. Write it, or leave the recording out.",
    }
    with pytest.raises(DataError) as absent:
        codec().encode({"sound": [quiet]})
    assert str(absent.value) == "audio: expected a column of this name, found 1 others. Choose from: sound."


def test_decode_gives_text_and_how_likely_it_is() -> None:
    certain = np.log(np.full((1, 4, 4), 0.01) + 0.96 * np.eye(4)[np.array([[0, 1, 2, 2]])])
    found = codec().decode({"log_probability": certain.astype(np.float32), "frames": np.array([4])})
    assert found["text"] == ["high low"]
    assert -0.3 < found["log_probability"][0] < 0
    assert list(found) == list(codec().schema().outputs)


def test_prepare_settles_rate_units_and_length() -> None:
    data = strings(80)
    task, made = SpeechRecognition(rate=RATE).prepare(from_object(data))
    assert (task.rate, task.max_seconds, task.units, task.model) == (RATE, 10.0, "words", CtcRecogniser())
    assert (made.tokens, made.stride, len(made.mean)) == (("high", "low", "mid"), 320, 40)
    files, _ = SpeechRecognition().prepare(from_object({"audio": [wav(row, 11_025) for row in data["audio"]], "text": data["text"]}))
    assert files.rate == 11_025
    wide, spelled = SpeechRecognition(units="characters").prepare(from_object(data))
    assert (wide.rate, wide.model.bands, spelled.tokens) == (16_000, 80, tuple(sorted(set(" highlowmid"))))
    few, _ = SpeechRecognition(rate=RATE).prepare(from_object({name: values[:12] for name, values in data.items()}))
    assert few.units == "characters"


@pytest.mark.parametrize(("columns", "message"), [
    ({"sound": [b"x"], "text": ["a"]}, "audio: expected a column of this name, found 2 others. Choose from: sound, text."),
    ({"audio": [wav(np.zeros(9), 8000)], "said": ["a"]}, "text: expected a column of this name, found 2 others. Choose from: audio, said."),
    ({"audio": [wav(np.zeros(9), 8000)], "text": [""]}, "text: expected transcripts, found none. Name the column with what was said in task.target."),
    ({"audio": ["a.wav", "b.wav"], "text": ["a", "b"]},
     "audio: expected recordings, found none that can be read (expected a recording, found text 'a.wav'). "
     "If these are paths of files, add 'audio' to data.files."),
])
def test_prepare_names_what_is_wrong(columns: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        SpeechRecognition().prepare(from_object(columns))
    assert str(caught.value).replace("found text 'b.wav'", "found text 'a.wav'") == message


def test_the_contract() -> None:
    check_task(SpeechRecognition(rate=RATE, model=SMALL, max_seconds=4), strings(36))


def test_the_exported_program_agrees_at_other_shapes() -> None:
    import onnxruntime

    task, made = SpeechRecognition(rate=RATE, model=SMALL).prepare(from_object(strings(30)))
    torch.manual_seed(0)
    model = task.build(made)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    program = task.programs(model, made)["predict"]
    session = onnxruntime.InferenceSession(to_onnx(program, rectangular(made.encode({"audio": strings(3)["audio"]}))), providers=["CPUExecutionProvider"])
    for recordings in ([np.zeros(1, np.float32)], strings(5, seed=4)["audio"], [strings(1, seed=5, longest=8)["audio"][0], np.zeros(80, np.float32)]):
        asked = rectangular(made.encode({"audio": recordings}))
        answered = session.run(None, asked)
        with torch.inference_mode():
            expected = program.module(*(torch.from_numpy(asked[name]) for name in program.inputs))
        np.testing.assert_allclose(answered[0], expected[0].numpy(), atol=1e-4)
        np.testing.assert_array_equal(answered[1], expected[1].numpy())


def test_choices_have_reasons_and_leave_the_horizon_to_a_budget() -> None:
    task, made = SpeechRecognition(rate=RATE, model=SMALL).prepare(from_object(strings(30)))
    free, timed = (task.choices(made, Facts(2700, 2, "cpu", budget)) for budget in (None, 60.0))
    assert free["train.steps"].value == max(500, 15 * 2700 // free["train.batch"].value)
    assert "train.steps" not in timed
    assert set(task.metrics(made)) <= set(METRICS)


def test_the_baseline_knows_single_words_and_is_silent_on_strings() -> None:
    words, fresh = strings(120, longest=1), strings(40, seed=1, longest=1)
    task, made = SpeechRecognition(rate=RATE, model=SMALL).prepare(from_object(words))
    train, test = (Part(from_object(rows), made.encode(rows)) for rows in (words, fresh))
    answer = task.baseline(made, train, test, 0)
    assert answer is not None
    assert answer.name == "support vector machine on 10 stretches of 40 log-mel bands"
    assert (answer.outputs["text"] == np.array(fresh["text"], object)).mean() > 0.9
    many = strings(60, longest=6)
    assert task.baseline(made, Part(from_object(many), made.encode(many)), test, 0) is None


def test_the_codec_needs_no_torch() -> None:
    code = "import sys, thuja.apps.speech_recognition.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_whole_way_from_files_to_an_artefact(tmp_path: Path) -> None:
    import thuja
    from thuja.artifact.folder import Artifact
    from thuja.artifact.runtime import Predictor
    from thuja.report.gallery import field_drawn
    from thuja.verbs.init import init
    from thuja.verbs.predict import predict

    rng = np.random.default_rng(0)
    for word, who, take in itertools.product(WORDS, ("ann", "bo"), range(50)):
        (tmp_path / "said").mkdir(exist_ok=True)
        (tmp_path / "said" / f"{word}_{who}_{take}.wav").write_bytes(wav(spoken(word, rng), RATE))
    path, notes = init(tmp_path / "said", out=tmp_path / "thuja.yaml")
    assert "Names of files are read as {text}_{speaker}_{take}; correct data.pattern if that is wrong." in notes
    text = path.read_text()
    assert "kind: speech-recognition" in text
    spec = Spec(task=SpeechRecognition(model=SMALL, beam=2), data=Data(path=str(tmp_path / "said"), pattern="{text}_{speaker}_{take}"),
                train=Train(steps=150, threads=1, ema=0.9), evaluate=Evaluate(slices=("speaker",), resamples=100))
    run = thuja.train(spec, root=tmp_path / "runs")
    scores = thuja.evaluate(run)
    assert scores.metrics["word_error_rate"].value < 0.1
    assert scores.baseline_name.startswith("support vector machine")
    page = (run.path / "report.html").read_text()
    assert "Spectrogram of" in page
    assert "data:audio/wav;base64," in field_drawn(run.codec().schema().inputs["audio"], tmp_path / "said" / "mid_bo_3.wav", "mid_bo_3.wav")
    artifact = thuja.export(run)
    predictor = Predictor(Artifact.open(artifact.path))
    asked = {"audio": [wav(spoken(word, rng), RATE) for word in WORDS]}
    assert predictor.predict(asked)["text"] == list(WORDS)
    answers = list(predict(artifact, tmp_path / "said" / "mid_bo_3.wav"))
    assert [answer["text"] for answer in answers] == ["mid"]
    assert answers[0]["log_probability"] <= 0
