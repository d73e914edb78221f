import synthetic

from thuja.report.material import between, findings, parts, summary, training_seconds
from thuja.report.scores import Figure


def test_summary_without_a_baseline_says_two_things():
    assert summary(synthetic.digits()) == [
        "The network learned 'label' from 4,459 rows of digits in 10 s.",
        "On 600 test rows it had not seen, its accuracy is 94.3 % (95 % interval 92.2 to 95.9 %).",
    ]


def test_an_unknown_figure_gives_its_reason():
    material = synthetic.digits()
    unknown = Figure(value=None, low=None, high=None, note="needs rows of every class")
    scores = material.scores.model_copy(update={"metrics": {"accuracy": unknown}})
    assert between(material.goal, scores, "ours") == "unknown (needs rows of every class)"


def test_parts_and_findings_are_read_from_data_json():
    train, test = parts(synthetic.DATA)
    assert (train.name, train.rows, len(train.bad), test.bad) == ("train", 4459, 1, [])
    assert findings(synthetic.DATA)[0].waived == "templates of the same sender"
    assert parts({}) == []
    assert findings({}) == []


def test_training_seconds_are_those_of_the_last_record():
    assert training_seconds(synthetic.RECORDS) == 10.4
    assert training_seconds([]) is None
