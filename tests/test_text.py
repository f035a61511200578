"""How names, numbers and times are written for a person."""

import pytest

from thumbmill.text import format_bytes, format_duration, one_line, plural, printable


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (2e13, "20.0 TB"),
    ],
)
def test_bytes(count, expected):
    assert format_bytes(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "1 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (200_000, "55 h 33 min")],
)
def test_durations(seconds, expected):
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (1, ("picture",), "1 picture"),
        (0, ("picture",), "0 pictures"),
        (2_500, ("picture",), "2,500 pictures"),
        (2, ("entry", "entries"), "2 entries"),
    ],
)
def test_counts(count, words, expected):
    assert plural(count, *words) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ümlaut 🧵 {x}", "ümlaut 🧵 {x}"),
        ("two\nlines\t\x1b", "two\\nlines\\t\\x1b"),
        ("not utf-8 \udcff", "not utf-8 \\udcff"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
    ],
)
def test_names_are_printable(text, expected):
    assert printable(text) == expected
    assert printable(text).encode()


def test_messages_of_libraries_are_put_on_one_line():
    assert one_line(ValueError("broken:\n\tbyte  \x00 7 ")) == "broken: byte 7"
