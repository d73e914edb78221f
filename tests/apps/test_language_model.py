"""Language models: rows, the template, the codec, the task, the programs in onnxruntime, and from data to an artefact."""

import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.language_model import baseline, template
from thuja.apps.language_model.blocks import packed, stream
from thuja.apps.language_model.codec import LanguageModelCodec
from thuja.apps.language_model.rows import SETTINGS
from thuja.apps.language_model.task import LanguageModel
from thuja.codec import STEP, Conversational, load, rectangular, take
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.models.gpt import GPT
from thuja.models.recurrent_lm import RecurrentLM
from thuja.settings import Train
from thuja.task import Draw, Facts, Part
from thuja.testing import check_codec, check_task
from thuja.training.look import answers
from thuja.training.loop import begin, steps
from thuja.vocabulary import BEGIN, END, Bytes, Characters

GPT_SMALL = GPT(dim=16, depth=1, heads=2, hidden=32, buckets=64)
TEXT = "the cat sat on the mat. a dog ran to the cat, and the cat ran.\n" * 12
SMALL = {"vocabulary": "characters", "context": 24, "max_tokens": 6, "model": GPT_SMALL}


def talks(count=24):
    """Who asks for a colour gets its opposite; greetings are answered."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
        for _ in range(int(rng.integers(1, 4))):
            asked = ("black", "white")[rng.integers(2)]
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": {"black": "white", "white": "black"}[asked]}]
        rows.append(messages)
    return {"messages": rows}


def made(task, data):
    return task.arrange({"train": from_object(data)})["train"]


def passages(**changes):
    task = LanguageModel(rows="passages", **{**SMALL, **changes})
    return task, made(task, {"text": [TEXT[i : i + 100] for i in range(0, len(TEXT), 100)]})


def rows_of(source, first=0):
    return source.take(np.arange(first, len(source)))


def asked(*prompts, **settings):
    return {"prompt": list(prompts), **{name: settings.get(name, [None] * len(prompts)) for name in SETTINGS}}


def codec(**changes):
    plain = {"rows": "passages", "vocabulary": Characters(characters="\n abc"), "context": 8, "most": 4}
    return LanguageModelCodec(**{**plain, **changes})


def texts_of(column):
    return [row.tolist() for row in np.split(column.values, column.offsets[1:-1])]


def test_passages_are_the_text_again_with_what_is_before_as_prompt():
    _, source = passages()
    rows = rows_of(source)
    assert "".join(rows["text"]) == TEXT
    assert rows["prompt"][:2] == ["", TEXT[12:24]]
    assert {len(text) for text in rows["text"][:-1]} == {24}
    assert source.ids(np.array([0, 2])) == ["character 0", "character 48"]
    assert source.fingerprint() != passages(context=25)[1].fingerprint()
    assert len(set(source.hashes(np.arange(len(source)), ()))) == len(set(rows["text"]))


def test_documents_ask_for_their_second_half():
    task = LanguageModel(**SMALL)
    assert rows_of(made(task, {"text": ["abcdef", "", None]}))["prompt"] == ["abc", "", ""]


def test_conversations_that_are_none_are_bad_rows():
    data = {"messages": [*talks(2)["messages"], "no json", [{"role": "user", "content": "alone"}], [{"role": "assistant", "content": "<|user|>"}],
                         json.dumps([{"role": "assistant", "content": "as JSON"}])]}
    source = made(LanguageModel(text="messages", rows="messages"), data)
    assert [entry.reason for entry in source.bad] == [
        'messages: expected a list of messages, found something else. Write [{"role": "user", "content": "..."}, ...].',
        "messages: expected a message of the assistant, found none. Leave this conversation out: nothing in it can be learned.",
        "messages[0].content: expected no mark of the template, found '<|user|>'. Write it otherwise."]
    rows = rows_of(source)
    assert rows["text"][2] == "<|assistant|>as JSON<|end|>"
    assert rows["prompt"][0].startswith("<|user|>hello<|end|><|assistant|>hi<|end|><|user|>")
    assert rows["prompt"][0].endswith("<|end|><|assistant|>")
    with pytest.raises(DataError) as caught:
        LanguageModel(text="massages", rows="messages").arrange({"train": from_object(talks(2))})
    assert str(caught.value) == "massages: expected a column of this name, found 1 others. Did you mean 'messages'?"


def test_what_is_read_and_what_is_scored():
    columns = codec(overlap=2).encode(asked("abc", "") | {"text": ["ab", "c"]})
    assert texts_of(columns["prompt"]) == [[6, 7, 8], [4]]  # an empty prompt is a line's end
    assert texts_of(columns["text"]) == [[7, 8, 6, 7], [4, 8]]
    assert texts_of(columns["scored"]) == [[0, 0, 1, 1], [0, 1]]
    columns = codec(rows="documents").encode(asked("a") | {"text": ["abc"]})
    assert texts_of(columns["prompt"]) == [[BEGIN, 6]]
    assert texts_of(columns["text"]) == [[BEGIN, 6, 7, 8, END]]
    assert texts_of(columns["scored"]) == [[0, 1, 1, 1, 1]]
    assert (columns["characters"].tolist(), columns["bytes"].tolist()) == ([3], [3])


def test_of_a_conversation_only_the_assistant_is_scored():
    talk = codec(rows="messages", context=99)
    text = template.written([{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc"}, {"role": "user", "content": "b"},
                             {"role": "assistant", "content": ""}])
    columns = talk.encode(asked(talk.conversation([{"role": "user", "content": "a"}])) | {"text": [text]})
    user, assistant = 10, 11
    assert talk.tokens == 13
    assert texts_of(columns["prompt"]) == [[BEGIN, user, 6, END, assistant]]
    assert texts_of(columns["text"]) == [[BEGIN, user, 6, END, assistant, 7, 8, END, user, 7, END, assistant, END]]
    assert texts_of(columns["scored"]) == [[0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1]]


def test_the_codec_speaks_the_protocol_of_conversations():
    talk = codec(rows="messages")
    assert isinstance(talk, Conversational)
    assert talk.conversation([{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]) == "<|system|>x<|end|><|user|>y<|end|><|assistant|>"
    assert talk.count("<|user|>ab<|end|>") == 5
    for messages, message in (
        ([], 'messages: expected at least one message, found none. Send [{"role": "user", "content": "..."}].'),
        ([{"role": "usr", "content": "a"}], "messages[0].role: expected one of system, user, assistant, tool, found 'usr'. Did you mean 'user'?"),
        ([{"role": "user", "content": None}], "messages[0].content: expected text, found NoneType. Send a string."),
        ([{"role": "user", "content": "a<|end|>"}], "messages[0].content: expected no mark of the template, found '<|end|>'. Write it otherwise."),
    ):
        with pytest.raises(DataError) as caught:
            talk.conversation(messages)
        assert str(caught.value) == message
    with pytest.raises(DataError, match="expected a model that was trained on conversations, found one trained on passages"):
        codec().conversation([{"role": "user", "content": "a"}])


def test_a_prompt_beyond_the_context_is_refused_or_cut_as_the_schema_says():
    with pytest.raises(BadRows) as caught:
        codec().encode(asked("a", "abcabcabc"))
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        1: "rows[1].prompt: expected at most 8 tokens, found 9. Send a shorter prompt, or train with a longer task.context or task.too_long: cut."}
    cut = codec(too_long="cut")
    assert texts_of(cut.encode(asked("abcabcabc"))["prompt"]) == [[7, 8, 6, 7, 8, 6, 7, 8]]
    assert cut.schema().inputs["prompt"].description == "Its last 8 tokens are read."


def test_settings_have_defaults_and_bad_ones_are_named():
    columns = codec(temperature=0.5).encode(asked("a", "a", temperature=[None, 0.0], top_k=[3, None], seed=[2**53 - 1, None], max_tokens=[None, 2]))
    assert columns["temperature"].tolist() == [0.5, 0.0]
    assert columns["top_k"].tolist() == [3, 0]
    assert columns["top_p"].tolist() == [1.0, 1.0]
    assert columns["max_tokens"].tolist() == [4, 2]
    assert columns["seed"].tolist() == [2**53 - 1, 0]
    with pytest.raises(BadRows) as caught:
        codec().encode(asked("a", "a", "a", 3, temperature=[-1, None, "warm", None], top_k=[None, 1.5, None, None]))
    assert [str(error) for _, error in sorted(caught.value.rows.items())] == [
        "rows[0].temperature: expected at least 0, found -1. Check the unit and the sign.",
        "rows[1].top_k: expected a whole number, found 1.5. Send a number without a fraction.",
        "rows[2].temperature: expected a number, found 'warm'. Send a plain number such as 3.5.",
        "rows[3].prompt: expected text, found int. Send a string; to classify pictures, train an image-classification task."]


def test_an_unknown_script_is_read_as_unknown_and_never_fails():
    assert texts_of(codec().encode(asked("猫a"))["prompt"]) == [[3, 6]]
    assert texts_of(codec(vocabulary=Bytes()).encode(asked("猫"))["prompt"]) == [[4 + byte for byte in "猫".encode()]]


def test_answers_in_words():
    talk = codec(rows="documents")
    arrays = {"text": np.array([[6, 7, END, 0], [8, 0, 0, 0]]), "tokens": np.array([3, 1]), "log_probability": np.array([-1.0, -2.0], np.float32)}
    assert talk.decode(arrays) == {"text": ["ab", "c"], "tokens": [3, 1], "log_probability": [-1.0, -2.0], "finish": ["stop", "length"]}
    assert talk.partial({"text": arrays["text"], "tokens": np.array([1, 0])}) == ["a", ""]
    half = {"text": np.array([[4 + 0xE7, 4 + 0x8C]]), "tokens": np.array([2])}
    assert codec(vocabulary=Bytes()).partial(half) == [""]


def test_the_codec_reads_back_and_keeps_its_contract():
    for kind in ("passages", "documents"):
        check_codec(codec(rows=kind, context=99), asked("a", "", "abc", "ca") | {"text": ["ab", "b", "猫c", "a"]})
    assert load(json.loads(codec().dumps()), CODECS) == codec()


def test_blocks_cover_the_stream_once_an_epoch_and_scored_tokens_alone():
    task, source = passages()
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source))
    tokens, scored = stream(columns, joined=True)
    assert learned.vocabulary.decode([tokens.tolist()]) == [TEXT]
    assert scored.all()
    blocks = (len(tokens) - 1) // 24 - 1
    seen = [batch["text"] for batch in islice(packed(tokens, scored, 24, Draw(1, 0)), blocks)]
    starts = sorted("".join(learned.vocabulary.decode([block[0, 1:].tolist()])) for block in seen)
    found = "".join(learned.vocabulary.decode([tokens.tolist()]))
    assert len(seen) == blocks
    assert all(text in found for text in starts)
    assert all(block.shape == (1, 25) for block in seen)


@pytest.mark.parametrize("model", [GPT_SMALL, RecurrentLM(cell="gru", dim=8, hidden=16)], ids=["gpt", "recurrent"])
def test_the_contract_on_passages(model):
    task, source = passages(model=model)
    check_task(task, rows_of(source, 1))


def test_the_contract_on_documents_and_conversations():
    task = LanguageModel(**SMALL)
    check_task(task, rows_of(made(task, {"text": [TEXT[i * 7 : i * 7 + 20] for i in range(12)]})))
    talk = LanguageModel(text="messages", rows="messages", **{**SMALL, "context": 64, "temperature": 0.0})
    check_task(talk, rows_of(made(talk, talks(12))))


def test_a_conversation_is_learned_and_the_score_is_what_the_greedy_answer_is():
    task = LanguageModel(text="messages", rows="messages", **{**SMALL, "context": 64, "max_tokens": 8, "temperature": 0.0})
    source = made(task, talks(40))
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source))
    train = Train(steps=100, batch=16, optimizer=task.choices(learned, Facts(40, 1, "cpu", None))["train.optimizer"].value)
    state = begin(task, learned, train)
    for _ in steps(task, state, columns, train):
        pass
    programs = task.programs(state.model.eval(), learned)
    scores = answers(programs, columns, "score")
    assert scores["whole"].sum() >= 0.95 * scores["responses"].sum()
    assert scores["responses"].tolist() == [len(messages) // 2 for messages in talks(40)["messages"]]
    said = learned.decode(answers(programs, columns))
    last = [messages[-1]["content"] for messages in talks(40)["messages"]]
    sure = scores["whole"] == scores["responses"]
    assert [text for text, known in zip(said["text"], sure, strict=True) if known] == [text for text, known in zip(last, sure, strict=True) if known]
    assert set(np.array(said["finish"])[sure]) == {"stop"}


def test_going_on_takes_the_parents_vocabulary():
    _, source = passages()
    parent = codec(vocabulary=Characters(characters="\n abcdehimnorst"))
    task, learned = LanguageModel(**SMALL).inherit(source, parent)
    assert learned.vocabulary == parent.vocabulary
    assert task.vocabulary_size == parent.vocabulary.size
    with pytest.raises(DataError, match="expected texts that repeat themselves, found nothing to learn from"):
        LanguageModel(**SMALL).prepare(made(LanguageModel(**SMALL), {"text": ["", ""]}))
    from thuja.apps.text_classification.codec import TextClassificationCodec

    other = TextClassificationCodec(text="a", target="b", names=("x", "y"), words=(), max_characters=3)
    with pytest.raises(SpecError) as caught:
        LanguageModel(**SMALL).inherit(source, other)
    assert str(caught.value) == "parent: expected a language model, found text-classification. Leave `parent` out, or name another run."


def test_tuning_by_changes_of_low_rank_leaves_the_parents_weights_alone():
    task, source = passages()
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source))
    state = begin(task, learned, Train(steps=30, batch=8))
    for _ in steps(task, state, columns, Train(steps=30, batch=8)):
        pass
    theirs = {name: value.clone() for name, value in state.model.state_dict().items()}
    tuned, twin = LanguageModel(rows="passages", lora=2, **SMALL).inherit(source, learned)
    low = Train(steps=30, batch=8, optimizer=tuned.choices(twin, Facts(40, 1, "cpu", None))["train.optimizer"].value)
    state = begin(tuned, twin, low, theirs)
    losses = [float(step.losses["loss"]) for step in steps(tuned, state, columns, low)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    ours = state.model.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    plain = tuned.programs(state.model.eval(), twin)
    assert set(plain["score"].module.net.state_dict()) == set(theirs)
    with torch.inference_mode():
        ids = torch.from_numpy(rectangular(take(columns, np.arange(3)))["text"])
        torch.testing.assert_close(plain["score"].module.net(ids), state.model(ids), atol=1e-4, rtol=1e-4)
    with pytest.raises(SpecError, match=r"task\.lora: expected 0, or a `parent` to go on from, found 2"):
        LanguageModel(rows="passages", lora=2, **SMALL).prepare(source)


def test_the_baseline_gives_probabilities_that_add_up():
    values = np.random.default_rng(0).integers(1, 6, 400)
    orders = baseline.count(values, 3, 6)
    for before in ([1, 2], [5, 5], [3, 1]):
        total = sum(baseline.probability(orders, np.array([*before, token]), 6)[2] for token in range(6))
        assert abs(total - 1) < 1e-9
    task, source = passages()
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source))
    found = task.baseline(learned, Part(source, columns), Part(source, columns), 0)
    assert found.name == "6-grams with Kneser-Ney smoothing"
    assert found.outputs["nll"].sum() / found.outputs["tokens"].sum() < 0.7
    assert found.outputs["tokens"].sum() == len(TEXT)


def test_charts_are_plain_data():
    task, source = passages()
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source))
    first, second = task.charts(task.build(learned).eval(), learned, Part(source, columns), task.outputs(learned, columns, {}))
    assert first.lines[0].y.min() > 0
    assert second.shades.shape == (1, 6)
    assert json.dumps([first.plain(), second.plain()])


@pytest.mark.slow
@pytest.mark.parametrize("model", [GPT_SMALL, RecurrentLM(dim=8, hidden=16)], ids=["gpt", "recurrent"])
def test_the_programs_agree_in_onnxruntime(model):
    import onnxruntime

    from thuja.artifact.onnxscan import scan
    from thuja.codec import AFTER
    from thuja.graph.onnxwrite import to_onnx
    from thuja.training.look import run

    task, source = passages(model=model)
    task, learned = task.prepare(source)
    columns = learned.encode(rows_of(source, 1))
    net = task.build(learned).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    programs = task.programs(net, learned)
    with torch.inference_mode():
        inputs = {name: rectangular(take(columns, np.arange(5))) for name in programs}
        inputs[STEP] = run(programs["predict"], inputs["predict"])
        inputs[STEP] |= run(programs[STEP], inputs[STEP])
        for name, program in programs.items():
            if not program.exported:
                continue
            data = to_onnx(program, {key: array[:2] for key, array in inputs[name].items()})
            scan(data, name)
            session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
            given = {key: inputs[name][key] for key in program.inputs}
            found = dict(zip((node.name.removesuffix(AFTER) for node in session.get_outputs()), session.run(None, given), strict=True))
            for key, expected in run(program, inputs[name]).items():
                assert found[key].dtype == expected.dtype
                np.testing.assert_allclose(found[key], expected, atol=1e-4, rtol=1e-4, err_msg=f"{name}: {key}")


@pytest.mark.slow
def test_from_data_to_an_artefact(tmp_path, monkeypatch):
    from thuja.artifact.runtime import Predictor
    from thuja.verbs.evaluate import evaluate
    from thuja.verbs.export import export
    from thuja.verbs.init import init
    from thuja.verbs.train import train

    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cats.txt").write_text("".join(f"{i} cats sat on {i + 1} mats. " for i in range(400)))
    spec, _ = init(tmp_path / "cats.txt", out=tmp_path / "thuja.yaml")
    small = ["context=24", "max_tokens=5", "model.dim=16", "model.depth=1", "model.heads=2", "model.hidden=32", "model.buckets=64"]
    run = train(spec, overrides=["train.steps=80", "train.batch=16", *(f"task.{value}" for value in small)], root=tmp_path / "runs")
    scores = evaluate(run)
    assert scores.metrics["nll_token"].value < 2.0
    assert scores.baseline.name == "6-grams with Kneser-Ney smoothing"
    assert "A sample" in (run.path / "report.html").read_text()
    predictor = Predictor(export(run))
    said = predictor.predict(asked("3 cats ", "", temperature=[0.0, 1.0], max_tokens=[5, 3]))
    assert said["tokens"] == [5, 3]
    assert said == predictor.predict(asked("3 cats ", "", temperature=[0.0, 1.0], max_tokens=[5, 3]))


def test_the_codec_needs_no_torch():
    code = "import sys, thuja.apps.language_model.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
