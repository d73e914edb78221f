"""What is taken for a translation, and what is not."""

import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.objects import from_object
from thuja.data.recognise.translation import recognise

TEXTS = [f"the dog number {i} runs over the field" for i in range(30)]
OTHERS = [f"der Hund Nummer {i} rennt über das Feld" for i in range(30)]


def parts(**columns):
    return {"all": from_object(columns)}


def test_two_columns_named_by_languages_are_translated_from_english_unless_asked_otherwise():
    both = parts(de=OTHERS, en=TEXTS)
    guess = infer(both)
    assert guess.task == {"kind": "translation", "source": "en", "target": "de"}
    assert guess.notes[:2] == ["30 rows (row) with 2 columns.", "Translation from 'en' to 'de', by their names; turn it round with --target."]
    assert infer(both, "en").task == {"kind": "translation", "source": "de", "target": "en"}
    assert infer(both, "de").task["target"] == "de"
    assert infer(parts(source=TEXTS, target=OTHERS)).task == {"kind": "translation", "source": "source", "target": "target"}
    with pytest.raises(DataError) as caught:
        infer(both, "fr")
    assert str(caught.value) == "target: expected one of the languages de, en, found 'fr'. Choose one of these."


def test_what_is_not_named_used_or_written_in_sentences():
    assert infer(parts(en=TEXTS, fr=OTHERS, n=list(range(30)))).notes[2] == "Not used: 'n'."
    for columns in ({"text": TEXTS, "label": ["a", "b"] * 15}, {"id": [str(i) for i in range(30)], "no": ["yes", "no"] * 15}, {"en": TEXTS, "de": [None] * 30},
                    {"en": TEXTS, "label": OTHERS}, {"en": TEXTS, "de": ["same words here"] * 30}):
        assert recognise(parts(**columns), None) is None
