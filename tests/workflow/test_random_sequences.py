"""Whatever happens to a catalogue, skipping what is unchanged changes nothing about what is made.

Random sequences of what people do to pictures, thumbnails and settings, through real Snakemake. Before each run of the
whole catalogue, two dry runs on the same files say what would be made: with skipping and without.
"""

import functools
import itertools
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from PIL import Image

from tests.support.checkout import copy_workflow
from tests.support.settings import settings as complete_settings
from tests.support.shop import Run, WarmShop
from tests.support.warm_snakemake import WarmSnakemake
from thumbmill.catalog.layout import Layout
from thumbmill.run.job import make_renditions

# No JPEG among the sources: how finely it is decoded depends on its largest thumbnail, so one that stays may differ by
# a rounding from one made now. a.bmp and a.png share a thumbnail.
NAMES = ["a.bmp", "a.png", "b.bmp", "c.tif", "sub/d.png", "sub/e.bmp", "{x}.bmp"]
COLOURS = ["red", "lime", "blue", "#20406080", "#ffffff00"]  # those with eight digits are transparent
SHAPES = [(30, 20), (20, 30), (15, 15)]
SMALL, LARGE = {"width": 20, "height": 20}, {"width": 28, "height": 24}
SETTINGS = {
    "sizes": [
        {"thumb": SMALL},
        {"thumb": LARGE},
        {"thumb": SMALL, "large": LARGE},
        {"large": LARGE, "thumb": SMALL},
        {"thumb": {**SMALL, "fit": "pad"}, "large": LARGE},
        {"thumb": {**SMALL, "fit": "cover"}},
        {"other": SMALL},
    ],
    "format": ["jpeg", "png", ["jpeg", "webp"], ["webp", "jpeg"]],
    "quality": [{"jpeg": 80}, {"jpeg": 30}, {"webp": 30}],
    "background": ["white", "#ffffff", "black"],
    "max_pixels": [10_000, 500],
    "keep_extension": [False, True],
}
OTHER_RUNS = [
    *[("--rerun-triggers", "mtime")] * 4,  # finds current what it is not
    *[("--drop-metadata",)] * 2,
    ("--touch",),
    ("--forcerun", "thumbnail"),
    ("--forceall",),
    ("--config", "skip_unchanged=false"),
    ("--until", "thumbnail"),
    ("all", "retry"),
]
DATES = st.sampled_from(["now", "now", "past", "future"])
LONG_AGO, FAR_AHEAD = 946_684_800, 4_102_444_800  # the years 2000 and 2100, seconds since the epoch

FIRST_STATEMENT = "    thumbnails = list(thumbnails)\n"  # of make_thumbnails(), and found nowhere else


class Sequence(RuleBasedStateMachine):
    """A shop to which anything may happen."""

    snakemake: WarmSnakemake
    begun = 0  # number of sequences

    def __init__(self):
        super().__init__()
        Sequence.begun += 1
        self.shop = WarmShop(Path(tempfile.mkdtemp(prefix="thumbmill-")), self.snakemake)
        self.shop.workflow = copy_workflow(self.shop.folder / ".workflow")
        self.hundredths = 0
        self.seconds = 1.0  # that a run takes here
        self.module = self.shop.workflow / "thumbmill/imaging/thumbnails.py"
        self.code = self.module.read_text()
        assert self.code.count(FIRST_STATEMENT) == 1
        self.config = {"source": "images", **{key: values[0] for key, values in SETTINGS.items()}}
        self.vary_the_code(3)
        self.configure("quality", {"jpeg": 80})
        # Pictures whose thumbnails may rightly differ from what would be made now: somebody has changed them, or
        # Snakemake's records, by hand.
        self.deceived: set[str] = set()
        # Pictures whose content is unknown to the history: one of the same size and an older date goes unnoticed.
        self.unknown: set[str] = set()
        self.shapes: dict[str, tuple[int, int]] = {}
        self.foreign: dict[Path, bytes] = {}
        self.keep_foreign(self.shop.folder / "thumbnails/thumb/sub/mine.jpg")
        self.keep_foreign(self.shop.folder / "thumbnails/mine/a.jpg")

    # What there is.

    @property
    def source(self) -> Path:
        """The source folder."""
        return self.shop.folder / self.config["source"]

    @property
    def names(self) -> list[str]:
        """The pictures of the catalogue, and files with the name of one."""
        return sorted(name for name in NAMES if os.path.lexists(self.source / name))

    @property
    def layout(self) -> Layout:
        """Where files belong under the present settings."""
        return Layout(complete_settings(**self.config))

    def thumbnails(self, name: str) -> list[Path]:
        """Return where the thumbnails of a picture belong."""
        return [self.shop.folder / path for path in self.layout.thumbnails(name)]

    def free_names(self) -> list[str]:
        """Return the names that a new picture can have beside those that are there."""
        taken = {os.path.splitext(name)[0] for name in self.names}
        return [name for name in NAMES if os.path.splitext(name)[0] not in taken]

    def keep_foreign(self, path: Path) -> None:
        """Put a file there that thumbmill must never touch."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.foreign[path] = b"mine " + os.urandom(4)
        path.write_bytes(self.foreign[path])

    def names_of(self, jobs: set[str]) -> set[str]:
        """Return the pictures behind these wildcards."""
        names = {self.layout.wildcard(name): name for name in self.names}
        return {names[job] for job in jobs & names.keys()}

    # One rule for everything: hypothesis uses only some rules in each sequence, and without runs it shows little.

    OPERATIONS = (
        *("change_a_picture", "change_a_setting", "run_otherwise") * 3,
        *("meddle_with_a_thumbnail",) * 2,
        "lose",
    )

    @rule(data=st.data(), operation=st.sampled_from(OPERATIONS), then_run=st.booleans())
    def do(self, data, operation, then_run):
        getattr(self, operation)(data)
        if then_run:
            self.run_whole()

    # What people do to pictures.

    @initialize(names=st.sets(st.sampled_from(NAMES[1:]), min_size=2, max_size=4))
    def first_pictures(self, names):
        for number, name in enumerate(sorted(names)):
            self.draw(name, COLOURS[number % 4], SHAPES[0], "now")
        self.run_whole()

    def draw(self, name, colour, shape, date):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = "RGBA" if len(colour) == 9 and not name.endswith("bmp") else "RGB"
        before = os.path.getsize(path) if os.path.exists(path) else None
        path.unlink(missing_ok=True)  # it may not be writable
        Image.new(mode, shape, colour[:7] if mode == "RGB" else colour).save(path)
        self.shapes[name] = shape
        self.date(path, date)
        if date == "past" and before == os.path.getsize(path) and name in self.unknown:
            self.deceived.add(name)  # neither newer nor of another size

    def date(self, path, date):
        if date != "now":
            moment = {"past": LONG_AGO, "future": FAR_AHEAD}[date]
            os.utime(path, (moment, moment))

    def change_a_picture(self, data):
        changes = ["edit", "edit", "touch", "add", "delete", "rename", "corrupt", "close", "open"]
        change = data.draw(st.sampled_from(changes), "change")
        if change == "add":
            if free := self.free_names():
                name = data.draw(st.sampled_from(free), "name")
                self.draw(name, data.draw(st.sampled_from(COLOURS)), data.draw(st.sampled_from(SHAPES)), "now")
            return
        name = data.draw(st.sampled_from(self.names), "name")
        path = self.source / name
        if change == "edit":
            colour, shape = data.draw(st.sampled_from(COLOURS), "colour"), data.draw(st.sampled_from(SHAPES), "shape")
            if data.draw(st.booleans(), "as large as before"):
                shape = self.shapes.get(name, shape)
            self.draw(name, colour, shape, data.draw(DATES, "date"))
        elif change == "touch":
            os.utime(path)
            self.date(path, data.draw(DATES, "date"))
        elif change == "delete" and len(self.names) > 1:
            path.unlink()
        elif change == "rename":
            path.rename(self.source / ".moved")
            free = [new for new in self.free_names() if new != name]
            new = data.draw(st.sampled_from(free), "new name")
            (self.source / new).parent.mkdir(exist_ok=True)
            (self.source / ".moved").rename(self.source / new)
            if new in self.unknown:
                self.deceived.add(new)  # it may be no newer than a thumbnail of that name, and as large as before
        elif change == "corrupt":
            path.unlink()
            path.write_text("no picture")
        elif change in ("close", "open") and not may_read_everything():
            path.chmod(0 if change == "close" else 0o644)

    # What they do to settings.

    def change_a_setting(self, data):
        key = data.draw(st.sampled_from(["source", "code", *sorted(SETTINGS)]), "setting")
        if key == "source":
            before = self.source
            self.configure("source", "photos" if self.config["source"] == "images" else "images")
            before.rename(self.source)
        elif key == "code":
            self.vary_the_code(7 - self.hundredths)
        else:
            values = [value for value in SETTINGS[key] if list_of(value) != list_of(self.config[key])]
            self.configure(key, data.draw(st.sampled_from(values), "value"))

    def configure(self, key, value):
        self.config[key] = value
        (self.shop.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def vary_the_code(self, hundredths):
        """Let each picture take these hundredths of a second longer, so that there is time to stop a run in it."""
        self.hundredths = hundredths
        pause = f"    __import__('time').sleep({hundredths / 100})\n"
        self.module.write_text(self.code.replace(FIRST_STATEMENT, pause + FIRST_STATEMENT))

    # What they do to thumbnails and records.

    def lose(self, data):
        if data.draw(st.booleans(), "records, not history"):
            shutil.rmtree(self.shop.folder / ".snakemake/metadata", ignore_errors=True)
            self.deceived |= set(NAMES)
        else:
            for path in self.shop.folder.glob(".snakemake/thumbmill/history-*"):
                path.unlink()
            self.unknown |= set(NAMES)

    def meddle_with_a_thumbnail(self, data):
        how = data.draw(st.sampled_from(["delete", "edit", "touch", "date back"]), "how")
        name = data.draw(st.sampled_from(self.names), "name")
        path = data.draw(st.sampled_from(self.thumbnails(name)), "thumbnail")
        if not path.exists():
            return
        if how == "delete":
            path.unlink()
            self.foreign.pop(path, None)
            return
        self.deceived.add(name)
        if how == "edit":
            self.keep_foreign(path)
            self.date(path, data.draw(DATES, "date"))
        else:
            os.utime(path)
            self.date(path, "past" if how == "date back" else "now")

    # Runs.

    def run(self, *arguments, stop=None) -> Run:
        """Run Snakemake; fail if that changes a source or a foreign file."""
        before = self.sources()
        run = self.shop.run(*arguments, stop=stop)
        assert stop or "Traceback" not in run.text, run.text  # stopped at its start, Snakemake prints one
        assert self.sources() == before
        for path, content in self.foreign.items():
            assert path.read_bytes() == content, f"{path} changed"
        return run

    def sources(self):
        """Return the state of every source."""
        return {name: tuple(os.lstat(self.source / name))[:9:2] for name in self.names}

    def expect_to_make(self, names):
        """Expect that a run makes these, so that their thumbnails are no longer somebody else's."""
        for name in names:
            for path in self.thumbnails(name):
                self.foreign.pop(path, None)

    def run_whole(self):
        """Run the whole catalogue, and compare what is made, with skipping and without, with what it should be."""
        expected = self.run("-n", "--config", "skip_unchanged=false")
        forecast = self.run("-n")
        assert (forecast.code, forecast.jobs) == (expected.code, expected.jobs), (expected.text, forecast.text)
        self.expect_to_make(self.names_of(expected.jobs))
        start = time.monotonic()
        run = self.run()
        self.seconds = time.monotonic() - start
        assert run.jobs == expected.jobs, run.text
        self.deceived -= self.names_of(run.jobs)
        self.unknown -= self.names_of(run.jobs)
        failed = {name for name in self.names if not all(path.exists() for path in self.thumbnails(name))}
        assert bool(run.code) == bool(failed), run.text
        assert set(self.shop.failures()) == {f"{self.config['source']}/{name}" for name in failed}
        again = self.run("-n", "--config", "skip_unchanged=false")
        assert self.names_of(again.jobs) == failed, again.text
        for name in self.names:
            if name not in failed and name not in self.deceived:
                assert [path.read_bytes() for path in self.thumbnails(name)] == self.made_now(name), name

    def made_now(self, name: str) -> list[bytes]:
        """Return what the thumbnails of a picture would be if made now."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, str(number)) for number in range(len(self.thumbnails(name)))]
            # What was accepted once stays: max_pixels decides no pixel.
            config = complete_settings(**{**self.config, "max_pixels": SETTINGS["max_pixels"][0]})
            make_renditions(str(self.source / name), map(str, paths), Layout(config), config)
            return [path.read_bytes() for path in paths]

    def run_otherwise(self, data):
        kind = data.draw(st.sampled_from(["flags", "flags", "one", "retry", "dry", "stop", "remove orphans"]), "run")
        if kind == "dry":
            before = self.state()
            self.run("-n")
            assert self.state() == before
            return
        if kind == "remove orphans":
            wanted = {path for name in self.names for path in self.thumbnails(name) if path.exists()}
            self.run("remove_orphans", "--config", "allow_mass_removal=true")
            assert all(path.exists() for path in wanted)
            return
        # Without a change there is little to go wrong.
        getattr(self, data.draw(st.sampled_from(["change_a_picture", "change_a_setting"]), "first"))(data)
        self.expect_to_make(self.names)
        if kind == "flags":
            flags = data.draw(st.sampled_from(OTHER_RUNS), "flags")
            if "--touch" in flags or "--drop-metadata" in flags:
                self.deceived |= set(NAMES)
            self.run(*flags)
        elif kind == "one":
            path = self.thumbnails(data.draw(st.sampled_from(self.names), "name"))[0]
            run = self.run(os.path.relpath(path, self.shop.folder))
            assert len(run.jobs) <= 1
        elif kind == "retry":
            self.run("retry")
        else:
            seconds = data.draw(st.floats(0.3, 1), "part of a run") * self.seconds
            kill = data.draw(st.sampled_from([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]), "signal")
            run = self.run(stop=(seconds, int(kill)))
            note(f"ended with {run.code}, after the jobs {run.jobs}")

    def state(self) -> dict[str, tuple]:
        """Return the sizes and dates of all thumbnails, logs and the history."""
        folders = [self.shop.folder / folder for folder in ("thumbnails", "logs")]
        paths = [*itertools.chain.from_iterable(folder.rglob("*") for folder in folders)]
        paths += self.shop.folder.glob(".snakemake/thumbmill/history-*.json")
        return {str(path): (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in paths if path.is_file()}

    def teardown(self):
        try:
            if self.names:
                self.run_whole()
        finally:
            for name in self.names:
                (self.source / name).chmod(0o644)
            shutil.rmtree(self.shop.folder)


def list_of(value) -> list:
    """Return a setting's value with the order of its keys."""
    return list(value.items()) if isinstance(value, dict) else [value]


@functools.cache
def may_read_everything() -> bool:
    """Whether this is the superuser, who may read whatever a file's mode is."""
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0)
        return os.access(file.name, os.R_OK)


def drive(warm_snakemake, machine=Sequence, **how) -> None:
    """Drive random sequences."""
    Sequence.snakemake, Sequence.begun = warm_snakemake, 0
    start = time.monotonic()
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **how),
        )
    finally:
        print(f"{Sequence.begun} sequences in {time.monotonic() - start:.0f} s")


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_short_sequence(warm_snakemake, number):
    """Always the same ones."""
    drive(warm_snakemake, seed(number)(type("Numbered", (Sequence,), {})), max_examples=1, stateful_step_count=4)


@pytest.mark.slow
def test_many_sequences(warm_snakemake):
    """Always the same five; with THUMBMILL_SEQUENCES=200 in the environment, 200 others."""
    others = os.environ.get("THUMBMILL_SEQUENCES")
    drive(warm_snakemake, max_examples=int(others or 5), stateful_step_count=8, derandomize=not others)
