import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.write.wording import file_names, printable, quantity


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0, "%", "0.0 %"),
        (0.04, "%", "< 0.1 %"),
        (0.05, "%", "0.1 %"),
        (12.345, "%", "12.3 %"),
        (100.0, "%", "100.0 %"),
        (4811.6, "ml", "4 812 ml"),
        (0.2, "ml", "< 1 ml"),
        (-612.4, "HU", "\N{MINUS SIGN}612 HU"),
        (2.0, "grade", "2"),
    ],
)
def test_numbers_as_people_read_them(value, unit, expected):
    assert quantity(value, unit) == expected.replace(" ", "\u202f")


def test_a_little_is_never_shown_as_nothing():
    for value in (1e-9, 0.001, 0.049, 0.3, 0.49, 0.5):
        for unit in ("%", "ml"):
            assert not quantity(value, unit).startswith("0.0")
            assert not quantity(value, unit).startswith("0\u202f")


def test_ordinary_names_stay_as_they_are():
    names = ["coronacases_002_z066", "CT 1", "a.b", "näme", "日本"]
    assert file_names(names) == names


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_file_names_are_safe_and_different(names):
    safe = file_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    for name in safe:
        assert name
        assert not set(name) & set('<>:"/\\|?*\x00\n')
        assert name not in {".", ".."}
        assert not name.endswith((".", " "))
        assert name.lower().split(".")[0] not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


@given(st.text(alphabet=st.characters(), max_size=30))
def test_printable_text_can_be_encoded(text):
    assert printable(text).encode("utf-8")[:0] == b""
    assert not set(printable(text)) & {"\x00", "\x1b", "\n"}


def test_a_file_name_that_is_no_text_is_printable():
    assert printable("scan\udcff\x1b[31m") == "scan? [31m"
