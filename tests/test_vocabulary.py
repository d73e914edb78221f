"""Vocabularies: what is written is read back, nothing is unknown to bytes, and learning is a function of the texts."""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from thuja.vocabulary import BEGIN, END, FIRST, PADDING, UNKNOWN, BytePairs, Bytes, Characters, Vocabulary, learn

TEXTS = ["the cat sat on the mat", "a hat is on the other cat", "naïve cats don't sit; they lie on the mat"] * 2
PAIRS = BytePairs.learn(TEXTS, 300)
ODD = ["", " ", "  two  spaces ", "line\nbreak\ttab", "שלום", "😀👍🏽", "１２３", "<pad></s>", "\u200b\ufeff", "a" * 300]


def rows_of(column):
    return [column.values[a:b].tolist() for a, b in itertools.pairwise(column.offsets)]


def same(vocabulary, texts):
    column = vocabulary.encode(texts)
    assert column.values.dtype == column.offsets.dtype == np.int64
    assert not len(column.values) or FIRST <= column.values.min() <= column.values.max() < vocabulary.size
    return vocabulary.decode(rows_of(column))


def test_the_first_ids_are_no_tokens():
    assert (PADDING, BEGIN, END, UNKNOWN, FIRST) == (0, 1, 2, 3, 4)
    for vocabulary in (PAIRS, Bytes()):
        assert vocabulary.decode([[BEGIN, *vocabulary.encode(["ab"]).values, END, PADDING, PADDING]]) == ["ab"]


@pytest.mark.parametrize("vocabulary", [Bytes(), PAIRS, BytePairs(merges=())], ids=["bytes", "pairs", "no pairs"])
def test_any_text_comes_back_as_it_was(vocabulary):
    assert same(vocabulary, ODD) == ODD
    assert len(vocabulary.encode([]).offsets) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_round_trip_of_whatever_is_text(texts):
    assert same(Bytes(), texts) == texts
    assert same(PAIRS, texts) == texts
    known = Characters(characters="".join(sorted(set("".join(texts)))))
    assert known.decode(rows_of(known.encode(texts))) == texts


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_a_text_that_is_being_written_only_grows(text):
    for vocabulary in (Bytes(), PAIRS):
        ids = vocabulary.encode([text]).values.tolist()
        shown = [vocabulary.decode([ids[:n]], whole=False)[0] for n in range(len(ids) + 1)]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))
        assert shown[-1] == text


def test_half_a_character_waits_for_its_other_half_or_is_replaced_at_the_end():
    ids = Bytes().encode(["aé"]).values[:2].tolist()
    assert Bytes().decode([ids], whole=False) == ["a"]
    assert Bytes().decode([ids]) == ["a\ufffd"]


def test_characters_are_the_commonest_and_others_are_unknown():
    made = Characters.learn(["baab", "ccb", "d"], 7)
    assert made.characters == "abc"
    assert made.size == 7
    assert rows_of(made.encode(["abz", "", "c"])) == [[4, 5, UNKNOWN], [], [6]]
    assert made.decode([[4, 5, UNKNOWN, END], []]) == ["ab\ufffd", ""]
    assert Characters(characters="").encode(["x"]).values.tolist() == [UNKNOWN]


def test_pairs_are_joined_within_words_only_and_up_to_the_size():
    assert PAIRS.size <= 300
    assert "t h" in PAIRS.merges or "h e" in PAIRS.merges
    assert all("Ġ" not in token[1:] for token in PAIRS.tokens)
    short, long = len(PAIRS.encode(["the cat"]).values), len(BytePairs(merges=()).encode(["the cat"]).values)
    assert short < long == 7
    assert BytePairs.learn(["once ever"], 300).merges == ()


def test_two_merges_that_make_one_token_share_its_id():
    made = BytePairs(merges=("a b", "b c", "a bc", "ab c"))
    assert made.tokens[256:] == ("ab", "bc", "abc")
    assert made.decode([made.encode(["abc abc"]).values.tolist()]) == ["abc abc"]


def test_the_plain_form_is_data_and_reads_back():
    for made in (PAIRS, Bytes(), Characters.learn(TEXTS, 50)):
        read = TypeAdapter(Vocabulary).validate_python(json.loads(made.model_dump_json()))
        made.encode(ODD)
        assert read == made
        assert read.encode(ODD).values.tolist() == made.encode(ODD).values.tolist()
        assert learn(made.kind, TEXTS, made.size) == made


@pytest.mark.parametrize(("data", "wrong"), [
    ({"kind": "byte-pairs", "merges": ["a b", "ab zz"]}, "a pair of tokens made before, not 'ab zz'"),
    ({"kind": "byte-pairs", "merges": ["ab"]}, "a pair of tokens made before, not 'ab'"),
    ({"kind": "characters", "characters": "ba"}, "characters by rising code point, each once"),
])
def test_a_forged_plain_form_is_refused(data, wrong):
    with pytest.raises(ValidationError, match=wrong):
        TypeAdapter(Vocabulary).validate_python(data)


def test_learning_does_not_depend_on_the_process():
    code = "import sys; sys.path.insert(0, 'tests'); import test_vocabulary as t; sys.stdout.write(t.PAIRS.model_dump_json())"
    for seed in ("1", "7"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": "4"}
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        assert other.stdout == PAIRS.model_dump_json()


def test_it_needs_no_torch():
    code = "import sys, thuja.vocabulary; sys.exit('torch' in sys.modules or 'tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
