"""Published decoders as our own: the same logits as transformers gives, refused where they would not be, tuned, exported and served without either."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import thuja
from thuja.apps.language_model.codec import LanguageModelCodec
from thuja.apps.language_model.task import LanguageModel
from thuja.artifact.runtime import Predictor
from thuja.core.errors import SpecError
from thuja.models.gpt import GPT, GPTNet
from thuja.models.recurrent_lm import RecurrentLM
from thuja.settings import Check, Train
from thuja.spec import Spec
from thuja.training.checkpoint import read_tensors
from thuja.training.loop import begin
from thuja.training.parent import begun

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "the mat and the log"] * 8
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48,
         "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.3}


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    return made


def write(folder: Path, kind: str = "llama", **changes: Any) -> Any:
    """A checkpoint of random weights as transformers writes it; the model."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    cut = tokenizer()
    made = {"llama": "Llama", "mistral": "Mistral", "qwen3": "Qwen3", "qwen2": "Qwen2"}[kind]
    extra = {"head_dim": 8} if kind == "qwen3" else {}
    config = getattr(transformers, f"{made}Config")(vocab_size=cut.get_vocab_size() + 3, **SIZES | extra | changes)
    model = getattr(transformers, f"{made}ForCausalLM")(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)  # gains of 1 would hide a norm that is missing
    model.save_pretrained(folder)
    cut.save(str(folder / "tokenizer.json"))
    return model


class Texts:
    names = ("text",)
    bad = ()

    def __len__(self) -> int:
        return len(TEXTS)


def adopted(folder: Path, **settings: Any) -> tuple[LanguageModel, LanguageModelCodec, GPTNet]:
    task, codec, parent = begun(LanguageModel(context=32, **settings), folder, Texts())  # type: ignore[arg-type]  # its rows are not looked at
    assert isinstance(task, LanguageModel) and isinstance(codec, LanguageModelCodec)
    state = begin(task, codec, Train(device="cpu"), read_tensors(parent.weights))
    return task, codec, state.model.eval()  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "changes"), [
    ("llama", {}), ("llama", {"num_key_value_heads": 4, "tie_word_embeddings": True, "rms_norm_eps": 1e-3}), ("mistral", {"sliding_window": 64}),
    ("qwen3", {"num_key_value_heads": 1}), ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}})])
def test_logits_are_those_of_transformers(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    theirs = write(tmp_path, kind, **changes)
    _, codec, ours = adopted(tmp_path)
    numbers = torch.randint(2, tokenizer().get_vocab_size(), (3, 20), generator=torch.Generator().manual_seed(1))
    numbers[:, 0] = 0
    places = torch.from_numpy(codec.vocabulary.places)  # type: ignore[union-attr]  # a borrowed one
    with torch.no_grad():
        expected, found = theirs(input_ids=numbers).logits, ours(places[numbers])[..., places]
    assert expected.std() > 0.5, "logits that are all alike prove nothing"
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_step_by_step_is_the_same(tmp_path: Path) -> None:
    write(tmp_path)
    _, codec, ours = adopted(tmp_path)
    ids = torch.randint(4, codec.vocabulary.size, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = ours(ids)
        place, memory = ours.begin(ids[:, :4], torch.tensor([4, 4]))
        for at in range(3, 9):
            logits, memory = ours.step(ids[:, at], place, memory)
            torch.testing.assert_close(logits, whole[:, at], atol=1e-4, rtol=1e-4)
            place = place + 1


def test_texts_are_cut_as_the_checkpoint_cuts_them(tmp_path: Path) -> None:
    write(tmp_path)
    _, codec, _ = adopted(tmp_path)
    cut, texts = tokenizer(), ["the cat", "Ünïcode 🙂", ""]
    encoded = codec.vocabulary.encode(texts)
    theirs = [cut.encode(text).ids for text in texts]
    assert [codec.vocabulary.rows[encoded.values[a:b]].tolist() for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)] == theirs  # type: ignore[union-attr]
    assert codec.vocabulary.decode([encoded.values[a:b] for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]) == texts
    assert LanguageModelCodec.parse(json.loads(codec.dumps())) == codec


@pytest.mark.parametrize(("changes", "message"), [
    ({"model_type": "gpt2"}, "parent: config.json: model_type: expected one of llama, mistral, qwen3, found 'gpt2'. Choose another checkpoint."),
    ({"hidden_act": "gelu"}, "parent: config.json: hidden_act: expected 'silu', found 'gelu'. Choose another checkpoint."),
    ({"attention_bias": True}, "parent: config.json: attention_bias: expected False, found True. Choose another checkpoint."),
    ({"head_dim": 16}, "parent: config.json: head_dim: expected 8, found 16. Choose another checkpoint."),
    ({"rope_parameters": {"rope_type": "yarn"}}, "parent: config.json: rope_type: expected 'default', found 'yarn'. Choose another checkpoint."),
    ({"max_position_embeddings": 16}, "task.context: expected at most 16, what the checkpoint has learned to see, found 32. Make it smaller."),
    ({"vocab_size": 99}, "parent: tokenizer.json: expected at most 99 tokens, found 278. Copy the whole checkpoint."),
    ({"vocab_size": 300}, "parent: model.safetensors: expected a table of 300 tokens of 32 numbers, found 281 of 32. Copy the whole checkpoint."),
    ({"num_hidden_layers": 3}, "parent: model.safetensors: expected a weight layers.2.self_attn.k_proj.weight, found none of that name. "
                               "Copy the whole checkpoint."),
    ({"num_hidden_layers": 1}, "parent: model.safetensors: expected only weights that this network has, found 'layers.1.input_layernorm.weight'. "
                               "Choose another checkpoint."),
    ({"auto_map": {"AutoModel": "x.Y"}}, "auto_map")])
def test_what_ours_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path)
    if message == "auto_map":
        message = (f"parent: {tmp_path / 'config.json'}: expected an architecture that is known here, found one that is code in its folder (auto_map). "
                   "Choose another checkpoint: code that comes with weights is never run.")
    assert str(caught.value) == message


def test_other_refusals(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path, model=RecurrentLM())
    assert str(caught.value) == "task.model.kind: expected gpt, since `parent` is a checkpoint, found recurrent-lm. Leave task.model out."
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(SpecError) as caught:
        adopted(tmp_path)
    assert str(caught.value) == ("parent: tokenizer.json: expected the rules by which texts are cut into tokens, found no such file. "
                                 "Copy the whole checkpoint; one without this file gets it from transformers: AutoTokenizer, save_pretrained.")
    with pytest.raises(SpecError, match=r"task.vocabulary: expected a `parent` to borrow from, found none. Name a checkpoint in `parent`."):
        LanguageModel(vocabulary="borrowed").prepare(Texts())  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("lora", [0, 4])
def test_it_is_tuned_exported_and_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: int) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "published", initializer_range=0.05)
    task = LanguageModel(context=16, max_tokens=4, temperature=0.0, lora=lora)
    run = thuja.train(Spec(task=task, parent=str(tmp_path / "published"), check=Check(enabled=False), train=Train(steps=30, batch=8, threads=1, device="cpu")),
                      data={"text": TEXTS + [f"{text} {i}" for i, text in enumerate(TEXTS)]}, root=tmp_path / "runs")
    settled = run.spec_data()["task"]
    assert (settled["vocabulary"], settled["model"]["activation"], settled["model"]["input_norm"]) == ("borrowed", "swiglu", False)
    artifact = thuja.export(run, data={"text": TEXTS + [f"{text} {i}" for i, text in enumerate(TEXTS)]})
    answer = Predictor(artifact).predict({"prompt": ["the cat"], "temperature": [None], "top_k": [None], "top_p": [None], "max_tokens": [None], "seed": [None]})
    assert isinstance(answer["text"][0], str) and "tokenizers==" in artifact.read("requirements.txt").decode()
    records = [sum(r["losses"].values()) for r in run.records() if r.get("event") == "step" and r.get("losses")]
    assert records[-1] < records[0]


def test_a_plain_network_has_its_norms() -> None:
    assert {"norm_in.gain", "layers.0.attention.query_norm.gain"} <= set(GPT(dim=16, depth=1, heads=2, hidden=8).build(9, 4).state_dict())
