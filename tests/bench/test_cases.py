"""Who takes part in a comparison, and what the command line accepts."""

import pytest

from bench import contenders, tools
from bench.arguments import parse
from bench.cases import ALL, CASES, choose
from bench.contenders import CONTENDERS, find_unwritable, names_in_turn
from bench.task import Contender, Task


def task(boxes: tuple[int, ...] = (100,)) -> Task:
    """Return a task of which no file has to exist."""
    return Task("/source", "/folder", boxes, 80, 2, "/tools")


@pytest.fixture
def all_tools(monkeypatch):
    """Pretend that every tool is installed."""
    monkeypatch.setattr(tools, "find_tool", lambda name, folder: name)


@pytest.mark.usefixtures("all_tools")
def test_a_slow_contender_takes_part_only_if_the_user_names_it():
    few, many = [f"{number}.jpg" for number in range(1000)], [f"{number}.jpg" for number in range(1001)]
    assert isinstance(choose(CASES["folder"], [], [], task(), few)["stock"], Contender)
    default = choose(CASES["folder"], [], [], task(), many)
    assert default["stock"] == "too slow for more than 1,000 pictures; --with stock includes it"
    assert "own-processes" not in default and isinstance(default["thumbmill"], Contender)
    more = choose(CASES["folder"], [], ["stock", "own-processes"], task(), many)
    assert isinstance(more["stock"], Contender) and isinstance(more["own-processes"], Contender)
    assert list(choose(CASES["folder"], ["stock"], [], task(), many)) == ["stock"]
    assert list(choose(CASES["rerun-folder"], [], [], task(), many)) == list(contenders.RERUNS)


def test_a_contender_that_cannot_do_it_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(tools, "find_tool", lambda name, folder: name if name != "gm" else None)
    names = ["same name.png", "same name.webp", "a.jpg"]
    chosen = choose(CASES["folder"], [], [], task((200, 100)), names)
    assert chosen["gm"] == "GraphicsMagick: not installed (python -m bench --install installs it)"
    assert chosen["vips"] == "1 thumbnails would have the name of another one: it drops the extension"
    assert chosen["sigal"] == "it makes no more than 1 size in a run"
    for name in ("make", "make-vips", "stock-shell"):
        assert chosen[name] == "2 of the names cannot be written in a Makefile (the first: 'same name.png')"
    assert isinstance(chosen["sharp"], Contender)


def test_what_a_makefile_cannot_hold():
    assert find_unwritable(["/home/me/0_ä+b-c.jpg"]) is None
    for odd in ("a b.jpg", "a:b.jpg", "a$b.jpg", "a%b.jpg", "a#b.jpg", "it's.jpg"):
        assert odd in find_unwritable(["/home/me/c.jpg", f"/home/me/{odd}"]).replace('"', "'")


def test_each_round_begins_with_another_contender():
    assert names_in_turn(["a", "b", "c"], 1) == ["b", "c", "a"] == names_in_turn(["a", "b", "c"], 4)
    assert names_in_turn([], 3) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name a case: all, small-100"),
        (["small"], "there is no case small: choose from all, small-100"),
        (["rerun-folder"], "needs --pictures"),
        (["rerun-10000", "--pictures", "images"], "draws its own pictures"),
        (["rerun-1000", "--only", "processes"], "no contender of rerun-1000 is called processes"),
        (["small-1000", "--only", "loop-mtime"], "no contender of small-1000 is called loop-mtime"),
        (["all", "--with", "nobody"], "is called nobody"),
        (["rerun-1000", "--cold"], "--cold: reruns read only the changed pictures"),
        (["small-100", "--count", "0"], "argument --count: invalid positive value: '0'"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, reason, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    assert reason in capsys.readouterr().err


def test_arguments_become_options():
    options = parse(["all", "small-100", "--only", "thumbmill,stock", "--count", "7", "--limit", "9"])
    assert options.cases == ALL and options.resume
    assert (options.only, options.also, options.count, options.limit) == (["thumbmill", "stock"], [], 7, 9)


def test_the_help_lists_every_case_and_contender(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    words = capsys.readouterr().out.split()
    assert {*CASES, *CONTENDERS, *contenders.RERUNS} <= {*words}
