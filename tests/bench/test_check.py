"""What the checks find in thumbnails that are not as they should be."""

import os

import pytest

from bench.check import State, expected_sizes, find_fault, find_rerun_fault, read_states
from bench.loops import make_outdated
from bench.pictures import draw_picture
from tests.bench.support import state


def test_a_thumbnail_must_be_whole_and_of_the_right_size(tmp_path):
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir(), made.mkdir()
    draw_picture(0, (400, 300)).save(source / "a.jpg")
    sizes = expected_sizes(str(source), ["a.jpg"], 100)
    assert sizes == {"a.jpg": {(100, 75)}}
    thumbnail = made / "a.jpg.jpg"
    for size, fault in (((100, 75), None), ((99, 76), None), ((75, 100), "is 75x100 pixels instead of 100x75")):
        draw_picture(0, size).save(thumbnail)
        assert (fault or "") in (find_fault(str(made), ["a.jpg"], sizes) or "none"), size
    draw_picture(0, (100, 75)).save(thumbnail)
    thumbnail.write_bytes(thumbnail.read_bytes()[:-500])
    assert "cannot be decoded" in find_fault(str(made), ["a.jpg"], sizes)
    thumbnail.rename(made / "b.jpg.jpg")
    assert find_fault(str(made), ["a.jpg"], sizes).startswith("0 of 1 thumbnails made, and 1 other files")


BEFORE = {f"{name}.jpg": State((1, 2, 3), "old") for name in ("a", "b", "c")}
AGAIN = State((4, 2, 9), "new")


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (BEFORE | {"a.jpg": AGAIN}, None),
        (BEFORE, "0 of 1 changed thumbnails made again, and 0 others (the first that was forgotten"),
        (BEFORE | {"a.jpg": AGAIN, "c.jpg": AGAIN}, "1 of 1 changed thumbnails made again, and 1 others"),
        (BEFORE | {"c.jpg": AGAIN}, "0 of 1 changed thumbnails made again, and 1 others"),
        (BEFORE | {"a.jpg": AGAIN, "d.jpg": AGAIN}, "0 thumbnails are gone, and 1 other files appeared"),
        ({"a.jpg": AGAIN, "b.jpg": BEFORE["b.jpg"]}, "1 thumbnails are gone, and 0 other files"),
        (BEFORE | {"a.jpg": State((4, 2, 9), "old")}, "a.jpg was made again, but shows the old picture"),
    ],
)
def test_a_rerun_makes_exactly_what_changed(after, reason):
    fault = find_rerun_fault(BEFORE, after, ["a"])
    assert fault is None if reason is None else reason in fault


def test_a_thumbnail_written_again_has_another_state(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1")
    before = read_states(str(tmp_path), ["a"])
    assert read_states(str(tmp_path), ["a"]) == before and before["a.jpg"].content
    path.replace(tmp_path / "kept")
    path.write_bytes(b"1")
    (tmp_path / "kept").unlink()
    after = read_states(str(tmp_path), ["a"])
    assert after["a.jpg"].identity != before["a.jpg"].identity and after["a.jpg"].content == before["a.jpg"].content


def test_the_loop_makes_what_is_missing_or_older(tmp_path, plain_pictures):
    source, output = str(plain_pictures), str(tmp_path / "made")
    assert make_outdated(source, output, 50, 80, 2) == 8
    assert make_outdated(source, output, 50, 80, 2) == 0
    (tmp_path / "made/000/000001.jpg.jpg").unlink()
    os.utime(tmp_path / "made/000/000002.jpg.jpg", (0, 0))
    before = state(tmp_path / "made")
    assert make_outdated(source, output, 50, 80, 2) == 2
    after = state(tmp_path / "made")
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed == {"000001.jpg.jpg", "000002.jpg.jpg"}
