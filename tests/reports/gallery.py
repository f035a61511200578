"""Items of a gallery, with names that could do harm."""

import os
from typing import Any

from tests.support.settings import settings
from thumbmill.catalog.layout import Layout
from thumbmill.reports.inventory import Item, Thumb

NASTY = [
    "<script>alert(1)<script>.jpg",
    "\"'&amp; #1 50%?.jpg",
    "{picture} <x>.jpg",
    "two\nlines.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "v1.2.final.jpg",
    "\u202egpj.exe.jpg",
    "a+b=c;d,e@f!.jpg",
]


def layout(**config: Any) -> Layout:
    """Return the layout that the settings describe. (Some of them would be rejected: it must not matter here.)"""
    return Layout({**settings(), **config})


LAYOUT = layout()


def item(name: str, reason: str = "") -> Item:
    """Return a picture, with its thumbnail unless there is a `reason` why it has none."""
    thumbs = [] if reason else [Thumb("thumb", "jpeg", LAYOUT.thumbnails(name)[0], 256, 192, 9_000, "")]
    return Item(name, 50_000, 640, 480, thumbs, reason, 5)
