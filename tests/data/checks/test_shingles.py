import numpy as np

from thuja.data.checks.shingles import nearest_texts, normalised, similarity, sketch


def words(rng, count=20):
    return " ".join("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(count))


def test_normalised():
    assert normalised("  A-b\n\t3.5 ＦＵＬＬ ") == "a b 3 5 full"
    assert normalised("") == ""


def test_the_sketch_estimates_the_similarity():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        one = words(rng)
        cut = int(rng.integers(5, 100))
        other = one[:-cut] + words(rng)[:cut]
        a, b = sketch([one, other])
        errors.append(np.mean(a == b) - similarity(one, other))
    assert abs(np.mean(errors)) < 0.04 and np.std(errors) < 0.12


def test_a_sketch_does_not_depend_on_the_other_texts():
    texts = ["", "a", "exactly", "some longer text with words", "another one"]
    together = sketch(texts)
    for place, text in enumerate(texts):
        assert np.array_equal(sketch([text])[0], together[place])


def test_near_twins_are_found_and_others_are_not():
    rng = np.random.default_rng(1)
    known = [words(rng) for _ in range(500)]
    held = [words(rng) for _ in range(100)]
    for i in range(30):
        held[i] = known[3 * i].replace(known[3 * i][:3], "zzz") + "!!"
    at, twin, seen = nearest_texts(held, known)
    assert (at.tolist(), twin.tolist(), seen) == (list(range(30)), [3 * i for i in range(30)], 100)


def test_short_texts_are_left_out():
    at, _, _ = nearest_texts(["yes", "", "no !"], ["yes", "", "no"])
    assert at.tolist() == []
