import synthetic

from thuja.report import card


def sections(text):
    return [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]


def test_a_card_has_every_section_in_order():
    expected = ["Model card: label", "Intended use", "Data", "Metrics", "Slices", "Recommendation", "Limits", "Training"]
    assert sections(card.render(synthetic.messages())) == expected


def test_a_card_says_what_is_not_known():
    text = card.render(synthetic.digits())
    assert "- licence: unknown, since the data do not state one" in text
    assert "- energy: not measured" in text
    assert "- seed: unknown" in text
    assert "- No slices were asked for (`evaluate.slices`): it may be much worse for some kinds of rows." in text
    assert "Slices" not in sections(text)


def test_a_card_records_findings_with_their_waivers_and_no_private_path():
    text = card.render(synthetic.messages())
    assert "- finding `near-duplicates` (warn): 12 rows of test nearly equal <train> rows Waived: templates of the same sender" in text
    assert f"- train: 4,459 rows, 1 unreadable, fingerprint `{'ab' * 32}`" in text
    assert "- split: group column=sender test=0.2" in text
    assert "/somewhere/private" not in text


def test_only_the_last_part_of_the_path_is_told():
    material = synthetic.digits()._replace(spec={"data": {"path": "/home/someone/pictures/digits"}})
    text = card.render(material)
    assert "/home/someone" not in text
    assert "- source: digits" in text


def test_the_table_of_metrics_stands_beside_the_baseline():
    text = card.render(synthetic.messages())
    assert "| metric | network | 95 % interval | logistic regression on word pairs | 95 % interval |" in text
    assert "| Accuracy | 96.7 % | 95.2 to 97.8 % | 88.9 % | 86.4 to 90.8 % |" in text


def test_a_bar_in_a_value_does_not_break_the_table():
    material = synthetic.messages()
    odd = [s.model_copy(update={"value": "a|b\nc"}) for s in material.scores.slices[:1]]
    text = card.render(material._replace(scores=material.scores.model_copy(update={"slices": odd})))
    assert "| language | a\\|b c | 300 |" in text
