import pytest
from hypothesis import strategies as st

from queue_server.domain.expect import EXIT_DEFAULT, EXIT_RANGE, HTTP_DEFAULT, HTTP_RANGE, expected_codes
from tests.builders.properties import for_all


@pytest.mark.parametrize(
    ("expect", "codes"),
    [
        ("200", {200}),
        (404, {404}),
        ("200-202", {200, 201, 202}),
        ("200,404", {200, 404}),
        (" 200 - 201 , 599 ", {200, 201, 599}),
        ("100-100", {100}),
    ],
)
def test_codes_and_ranges_are_named(expect, codes):
    assert expected_codes(expect, HTTP_RANGE) == codes


def test_defaults_mean_success():
    assert expected_codes(HTTP_DEFAULT, HTTP_RANGE) == set(range(200, 300))
    assert expected_codes(EXIT_DEFAULT, EXIT_RANGE) == {0}


@pytest.mark.parametrize(
    "expect", ["", ",", "200,", "2xx", "200-", "-200", "200-201-202", "0200", "²00", "٢٠٠", "2 00", -1]
)
def test_what_is_no_list_of_codes_is_refused_with_an_example(expect):
    with pytest.raises(ValueError, match=r"must be codes and ranges such as 200-299,404"):
        expected_codes(expect, HTTP_RANGE)
    with pytest.raises(ValueError, match=r"such as 0,2-4"):
        expected_codes(expect, EXIT_RANGE)


def test_very_long_list_of_codes_is_refused():
    assert expected_codes(f"200{' ' * 997}", HTTP_RANGE) == {200}
    with pytest.raises(ValueError, match="must have at most 1000 characters"):
        expected_codes(f"200{' ' * 998}", HTTP_RANGE)


@pytest.mark.parametrize("expect", ["99", "600", "299-200", "0", 99, "200,99", "500-600"])
def test_code_out_of_range_is_refused(expect):
    with pytest.raises(ValueError, match="must name codes from 100 to 599, such as 200-299,404"):
        expected_codes(expect, HTTP_RANGE)


@for_all(st.text() | st.integers() | st.from_regex(r"\A[0-9, -]{0,12}\Z"))
def test_anything_is_a_list_of_codes_or_refused(expect):
    codes = _codes_or_refusal(expect)
    assert codes
    assert isinstance(codes, str) or all(code in EXIT_RANGE for code in codes)


def _codes_or_refusal(expect):
    try:
        return expected_codes(expect, EXIT_RANGE)
    except ValueError as error:
        return str(error)
