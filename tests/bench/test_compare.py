"""The comparison: everyone is measured, and none wins by doing less."""

import re

import pytest

from bench import compare as bench_compare
from bench import contenders, rounds
from bench.cases import CASES
from bench.compare import main
from bench.corpus import make_corpus
from bench.corrupted import is_singled_out
from bench.rounds import run_rounds
from bench.task import Contender, Task
from tests.bench.support import LOOPS, program, rows

ODD = {
    "forgetful": ("make(); os.remove(output + '/same name.png.jpg')", "11 of 12 thumbnails made, and 0 other files"),
    "generous": ("make(300)", "pixels instead"),
    "tired": ("sys.exit('tired')", "exit code 1; its last line: tired"),
    "idle": ("pass", "0 of 12 thumbnails made"),
}


def test_the_loops_are_compared_and_who_does_less_has_failed(compare, pictures, monkeypatch):
    for name, (source, _) in ODD.items():
        monkeypatch.setitem(contenders.CONTENDERS, name, Contender(f"an odd one: {name}", program(source)))
    (pictures / "broken.jpg").write_bytes((pictures / "000/000000.jpg").read_bytes()[:3000])
    (pictures / "text.png").write_text("not a picture")
    code, output, document = compare("folder", "--pictures", pictures, "--only", ",".join([*LOOPS, *ODD]))
    assert code == 1
    table, results = rows(output), document["tables"][""]
    assert list(table) == [*LOOPS, *ODD]
    for name in LOOPS:
        wall, user, system, rate, ratio, memory, controller = (float(cell) for cell in table[name])
        run, reference = results[name]["runs"][0], results["processes"]["runs"][0]
        assert [wall, user, system] == [round(run[key], 2) for key in ("wall", "user", "sys")]
        assert rate == round(12 / run["wall"]) and ratio == round(run["wall"] / reference["wall"], 2)
        assert memory == round(run["memory"] / 1e6) > 1 and controller == round(run["controller"] / 1e6) > 1
    assert table["processes"][4] == "1.00"
    for name, (_, reason) in ODD.items():
        assert table[name][0] == "failed" and not any(table[name][1:])
        assert re.search(f"^`{name}` failed: in round 1: .*{reason}", output, re.MULTILINE)
        assert "figures" not in results[name]
    assert "12 pictures" in output and "left out: broken.jpg: OSError" in output
    assert sorted(name for name, _ in document["pictures"]["left_out"]) == ["broken.jpg", "text.png"]


def test_without_the_process_loop_there_is_no_ratio():
    outcome = rounds.Outcome(
        {"threads": {0: dict.fromkeys(("wall", "user", "sys", "memory", "controller"), 1)}}, {}, {}
    )
    results = bench_compare.collect({"threads": contenders.CONTENDERS["threads"]}, outcome, "processes", 4)
    assert "ratio" not in results["threads"]["figures"] and results["threads"]["figures"]["images_per_second"] == 4


def test_all_sizes_are_checked(compare, plain_pictures, monkeypatch):
    monkeypatch.setitem(CASES, "folder", CASES["folder"]._replace(boxes=(100, 50)))
    monkeypatch.setitem(contenders.CONTENDERS, "odd", Contender("makes one size", program("make()")))
    code, output, _ = compare("folder", "--pictures", plain_pictures, "--only", "processes,odd")
    assert code == 1 and "`odd` failed: in round 1: 0 of 8 thumbnails made" in output
    assert float(rows(output)["processes"][0]) > 0 and "8 pictures to 100, 50 pixels" in output


def test_with_a_cold_cache_the_pictures_are_dropped_before_each_run(compare, plain_pictures, monkeypatch):
    dropped = []
    monkeypatch.setattr(rounds, "drop_from_cache", lambda corpus: dropped.append(len(corpus.names)))
    monkeypatch.setitem(contenders.CONTENDERS, "odd", Contender("the only one", program("make()")))
    _, output, document = compare("folder", "--pictures", plain_pictures, "--only", "odd", "--cold", "--rounds", 2)
    assert dropped == [8, 8] and document["cold"]
    assert "file cache cold" in output and "dropped from the file cache" in output


def test_a_slow_contender_runs_in_the_first_round_only(tmp_path, plain_pictures):
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path / "runs"), (100,), 80, 2)
    chosen = {name: Contender(name, program("make()")) for name in ("threads", "processes")}
    outcome = run_rounds(chosen, 2, task, corpus, 100, slow=0)
    assert {name: list(each) for name, each in outcome.runs.items()} == {"threads": [0], "processes": [0, 1]}
    assert not outcome.failed and not outcome.over


@pytest.mark.slow
def test_a_contender_is_stopped_at_the_limit_and_the_others_go_on(compare, plain_pictures, monkeypatch):
    monkeypatch.setitem(contenders.CONTENDERS, "odd", Contender("the odd one", program("time.sleep(60)")))
    code, output, document = compare("folder", "--pictures", plain_pictures, "--only", "processes,odd", "--limit", "3")
    assert code == 0 and rows(output)["odd"][0] == "over 3"
    assert document["tables"][""]["odd"] == {"title": "the odd one", "over": 3}


@pytest.mark.slow
def test_everyone_is_compared(compare, pictures):
    everyone = [*LOOPS, *(f"own-{name}" for name in LOOPS), "thumbmill", "thumbmill-shards", "stock"]
    code, output, document = compare("folder", "--pictures", pictures, "--only", ",".join(everyone))
    assert code == 0, output
    assert list(rows(output)) == everyone
    for name, (wall, user, _, _, ratio, memory, controller) in rows(output).items():
        assert all(float(cell) > 0 for cell in (wall, user, ratio, memory, controller)), name
    assert document["reference"] == "processes"
    assert document["tables"][""]["thumbmill"]["runs"][0]["code"] == 0


def test_a_corrupted_picture_shows_who_stops(compare):
    code, output, document = compare("corrupted", "--count", 6, "--only", "sequential,processes")
    assert code == 0
    found = document["tables"][""]
    assert found["sequential"]["made"] == 3 and found["processes"]["made"] == 5 == found["processes"]["of"]
    for name in ("sequential", "processes"):
        assert found[name]["code"] == 1 and not found[name]["damaged_made"] and not found[name]["named"]
    assert "| `sequential` plain loop, sequential | 1 | 3 of 5 | nothing | no |" in output


def test_only_who_names_the_damaged_picture_more_often_singles_it_out():
    assert is_singled_out("a/2.jpg", "a/1.jpg", "error: 2.jpg")
    assert not is_singled_out("a/2.jpg", "a/1.jpg", "made 1.jpg\nmade 2.jpg")
    assert is_singled_out("a/2.jpg", "a/1.jpg", "made 1.jpg\nmaking 2.jpg\n2.jpg is broken")


def test_a_case_without_any_of_those_asked_for_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(contenders.CONTENDERS, "odd", Contender("the odd one", program("make()")))
    options = ["--count", "3", "--rounds", "1", "--work", str(tmp_path), "--results", str(tmp_path / "results")]
    assert main(["small-100", "rerun-1000", "--only", "odd", *options]) == 2
    assert "bench: rerun-1000: none of odd takes part in it" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["small-100.json"]


def test_all_cases_resume_where_they_were_interrupted(tmp_path, monkeypatch, capsys):
    ran = []

    def run_case(name, options, work):
        ran.append(name)
        if name == "photos" and len(ran) == 2:
            raise KeyboardInterrupt
        return {"tables": {}}

    monkeypatch.setattr(bench_compare, "run_case", run_case)
    monkeypatch.setattr("bench.arguments.ALL", ["small-100", "photos"])
    monkeypatch.setattr(bench_compare.table, "describe", lambda document: "")
    options = ["all", "--work", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        main(options)
    assert main(options) == 0 and ran == ["small-100", "photos", "photos"]
    assert "small-100 has results" in capsys.readouterr().err
    main([*options, "--again"])
    assert ran[3:] == ["small-100", "photos"]
