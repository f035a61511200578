"""The pictures that a comparison runs on."""

import os
from pathlib import Path

import pytest
from PIL import Image

from bench.corpus import MAX_DISTINCT, drop_from_cache, list_pictures, make_corpus
from bench.pictures import cut_photos, draw_picture
from tests.bench.support import state


def test_a_corpus_is_made_once(tmp_path):
    first = make_corpus("small", 3, None, str(tmp_path), 1)
    made = state(tmp_path)
    assert len(first.names) == 3 and len({content for content, _ in made.values()}) == 4, "and its description"
    assert make_corpus("small", 3, None, str(tmp_path), 1) == first
    assert state(tmp_path) == made


def test_crops_of_photographs_are_all_different(tmp_path):
    draw_picture(0, (2600, 1800)).save(tmp_path / "0.jpg")
    draw_picture(2, (1000, 800)).save(tmp_path / "small.jpg")
    sources = [str(tmp_path / name) for name in list_pictures(str(tmp_path))]
    assert cut_photos(str(tmp_path / "cut"), sources, 3, 2) == 1
    cut = list((tmp_path / "cut").rglob("*.jpg"))
    assert len(cut) == 3 and len({path.read_bytes() for path in cut}) == 3
    for path in cut:
        with Image.open(path) as picture:
            assert 3.99e6 < picture.width * picture.height < 12.01e6


def test_many_pictures_are_links_to_a_few_under_names_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.corpus.MIXED", ((2, ".jpg", (60, 40)), (1, ".png", (60, 40)), (1, ".webp", (60, 40))))
    monkeypatch.setitem(MAX_DISTINCT, "mixed", 4)
    corpus = make_corpus("mixed", 9, None, str(tmp_path), 1)
    assert len(corpus.names) == 9 == len({Path(name).stem for name in corpus.names})
    assert {Path(name).suffix for name in corpus.names} == {".jpg", ".png", ".webp"}
    assert len({Path(corpus.folder, name).stat().st_ino for name in corpus.names}) == 4
    assert "4 different ones, each in 3 places" in corpus.note


def test_names_that_snakemake_cannot_write_are_encoded(tmp_path):
    for name in ("{a}.png", "b c.png"):
        draw_picture(1, (60, 40)).save(tmp_path / name)
    corpus = make_corpus("folder", 0, str(tmp_path), str(tmp_path / "work"), 1)
    assert corpus.names == ["%7Ba%7D.png", "b c.png"] and corpus.left_out == []


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no picture in"):
        make_corpus("folder", 0, str(tmp_path), str(tmp_path / "work"), 1)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot drop files from its cache")
def test_pictures_can_be_dropped_from_the_file_cache(tmp_path, plain_pictures, monkeypatch):
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    mine = state(plain_pictures)
    advised, advise = [], os.posix_fadvise
    monkeypatch.setattr(os, "posix_fadvise", lambda *args: advised.append(args[1:]) or advise(*args))
    drop_from_cache(corpus)
    assert advised == [(0, 0, os.POSIX_FADV_DONTNEED)] * 8, "every picture, whole"
    assert state(plain_pictures) == mine
