"""The page that walks a sentence through the transformer is made of numbers from the code."""

import re

from tools.walk_transformer import SENTENCE, page, shades


def test_the_page_is_whole_and_its_pictures_are_there():
    text, pictures = page(2)
    assert SENTENCE in text
    assert set(re.findall(r"transformer/(\w+)\.svg", text)) == set(pictures) == {"places", "self", "mask", "cross"}
    assert [line for line in text.splitlines() if line.startswith("## ")][-1] == "## Where the parameters are"
    assert "nan" not in text
    assert pictures["mask"].count("<rect") == int(re.search(r"pairs allowed|of (\d+) pairs", text).group(1))


def test_a_picture_is_as_dark_as_its_value():
    import numpy as np

    svg = shades(np.array([[0.0, 1.0]]), ["a<b"], ["c", "d"])
    assert svg.count('fill-opacity="0.04"') == svg.count('fill-opacity="1.0"') == 1
    assert "a&lt;b" in svg
