"""What the ageing test found is drawn in the report and said in the card; without it, neither says a word."""

import re

import synthetic

from thuja.report import ageing, card, page

FOUND = {"window": 864000.0, "dated": True, "steps": 60, "margin": 0.05, "half": 4.0, "lives": [[4, True], [6, False], [3, True]], "calendar": {"every": 3.0},
         "curve": {"loss": [0.1, 0.15, None, 0.3], "low": [0.08, 0.1, None, 0.2], "high": [0.12, 0.2, None, 0.4], "cuts": [3, 3, 0, 3], "fresh": 0.1},
         "cuts": [{"at": 0.0, "losses": [0.1]}] * 3}


def test_the_curve_has_its_interval_and_leaves_out_what_is_not_known():
    (chart,) = ageing.charts(FOUND)
    (line,) = chart.lines
    assert line.x.tolist() == [0, 1, 3] and line.y.tolist() == [0.1, 0.15, 0.3] and line.low.tolist() == [0.08, 0.1, 0.2] and line.high[-1] == 0.4
    assert chart.x == "age in windows of 10 days" and "2 of 3 became worse by 0.05 for good" in chart.alt and "every 3 windows (30 days)" in chart.alt
    assert ageing.charts(None) == [] == ageing.sentences(None)


def test_a_calendar_that_does_not_pay_is_said():
    calm = FOUND | {"half": None, "lives": [[4, False]], "calendar": {"every": None}}
    assert ageing.said(calm) == "0 of 1 became worse by 0.05 for good. Training anew on a calendar would not pay."


def test_report_and_card_say_it():
    material = synthetic.digits()
    assert "How models like this one age" not in page.render(material) and "## Ageing" not in card.render(material)
    aged = material._replace(ageing=FOUND)
    text = card.render(aged)
    assert "## Ageing\n\n3 models like this one were trained at past dates" in text and "Loss 0.100 in the first window after training, 0.300" in text
    html = page.render(aged)
    assert len(re.findall(r"<figcaption>How models like this one age</figcaption>", html)) == 1 and "the band is the 90 % interval" in html
