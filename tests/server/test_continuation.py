from hypothesis import given
from hypothesis import strategies as st

from thuja.server.continuation import Continuation


def grown(text: str, stop: list[str], cuts: list[int]) -> tuple[list[str], str, bool]:
    """What is shown of a text that arrives in these lengths, and what it ends as."""
    answer = Continuation(stop)
    shown = [answer.grow(text[:cut]) for cut in sorted(cuts)]
    shown.append(answer.grow(text, last=True))
    return shown, answer.text, answer.stopped


def test_without_stop_texts_everything_is_shown_at_once():
    assert grown("abcdef", [], [0, 2, 3]) == (["", "ab", "c", "def"], "abcdef", False)


def test_a_stop_text_is_never_shown_not_even_its_beginning():
    assert grown("one END two", ["END"], [5, 6, 7, 8]) == (["one ", "", "", "", ""], "one ", True)


def test_what_only_looked_like_a_stop_text_is_shown_after_all():
    assert grown("an ENEMY", ["END"], [5, 6]) == (["an ", "EN", "EMY"], "an ENEMY", False)
    assert grown("an EN", ["END"], [5]) == (["an ", "EN"], "an EN", False)


def test_the_first_of_several_stop_texts_counts():
    assert grown("a, b; c", [";", ","], [7]) == (["a", ""], "a", True)


@given(text=st.text("ab\n", max_size=30), stop=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4), cuts=st.lists(st.integers(0, 30), max_size=8))
def test_however_a_text_arrives_it_is_cut_at_a_stop_text_and_only_there(text, stop, cuts):
    shown, ended, stopped = grown(text, stop, cuts)
    assert "".join(shown) == ended
    assert text.startswith(ended)
    assert not any(s in ended for s in stop)
    assert stopped == any(s in text for s in stop)
    if stopped:
        assert any(text.startswith(s, len(ended)) for s in stop)
    else:
        assert ended == text
