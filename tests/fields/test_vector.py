import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.core.seeds import stream
from thuja.fields import Schema, Vector
from thuja.testing import check_field


@pytest.mark.parametrize("field", [Vector(length=3), Vector(length=128, unit=True), Vector(length=1)])
def test_the_contract(field) -> None:
    check_field(field)
    assert Schema(inputs={}, outputs={"embedding": field}) == Schema.model_validate_json(Schema(inputs={}, outputs={"embedding": field}).model_dump_json())


@pytest.mark.parametrize(("value", "message"), [
    ([1.0, 0.0], "value: expected a list of 3 numbers, found 2 of them. Send what the model answered, whole."),
    ("abc", "value: expected a list of 3 numbers, found str. Send what the model answered, whole."),
    ([1.0, float("nan"), 0.0], "value[1]: expected a finite number, found nan. Send what the model answered, unchanged."),
    ([1.0, True, 0.0], "value[1]: expected a finite number, found True. Send what the model answered, unchanged."),
    ([1.0, 10**400, 0.0], f"value[1]: expected a finite number, found 1{'0' * 39}. Send what the model answered, unchanged."),
    ([1.0, 1.0, 0.0], "value: expected a vector of length 1, found one of length 1.414. Divide it by its length."),
])
def test_what_is_refused(value, message) -> None:
    with pytest.raises(DataError) as caught:
        Vector(length=3, unit=True).check(value, "value")
    assert str(caught.value) == message


def test_vectors_of_another_kind_are_far() -> None:
    field = Vector(length=16, unit=True)
    plain = field.fake(stream(0, "a"), 300)
    shifted = [list(v) for v in (np.abs(np.array(plain)))]
    assert field.distance(field.summarise(plain), field.summarise(field.fake(stream(1, "b"), 300))) < 0.15
    assert field.distance(field.summarise(plain), field.summarise(shifted)) > 0.4
