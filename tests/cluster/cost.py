"""What a picture costs on a SLURM, everything included: python -m tests.cluster.cost [pictures]

Makes small pictures on a cluster of two nodes, started for this, and prints processor seconds: of the whole machine
(which must have nothing else to do), and of the picture function alone in a loop. Needs what the tests here need.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from bench.measure import busy_time
from bench.pictures import draw_pictures
from tests.cluster.slurm import Slurm
from tests.support.shop import REPOSITORY
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

ROUNDS = 3
SIZE = {"width": 128, "height": 128, "fit": "contain"}


def main(pictures: int = 2_000) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_pictures(str(folder / "images"), pictures, [(".jpg", (640, 480))], 2)
        print(f"{pictures:,} pictures of 640x480 to 128x128, processor seconds for each picture")
        print(f"the picture function alone: {function_alone(folder, pictures):.5f}")
        print(f"this machine, at rest for 10 s: {at_rest(10):.2f} cores")
        cluster = Slurm(folder / "slurm")
        (folder / "slurm").mkdir()
        try:
            cluster.start()
            for shard in (pictures, max(1, pictures // 4)):
                for number in range(ROUNDS):
                    busy, wall = whole_run(folder, cluster, shard, number)
                    print(f"shards of {shard:,}: {busy / pictures:.5f}  ({busy:.1f} s of cores in {wall:.0f} s)")
        finally:
            cluster.stop()


def function_alone(folder: Path, pictures: int) -> float:
    """Return the processor seconds for each picture of a loop over the picture function."""
    sources = sorted((folder / "images").rglob("*.jpg"))[:300]
    (folder / "alone").mkdir()
    before = time.process_time()
    for number, source in enumerate(sources):
        target = Thumbnail(str(folder / f"alone/{number}.jpg"), SIZE, "jpeg")
        make_thumbnails(str(source), [target], quality={"jpeg": 80})
    return (time.process_time() - before) / len(sources)


def at_rest(seconds: float) -> float:
    """Return how many cores are busy while nothing is done here."""
    before = busy_time()
    time.sleep(seconds)
    return (busy_time() - before) / seconds


def whole_run(folder: Path, cluster: Slurm, shard: int, number: int) -> tuple[float, float]:
    """Return the processor seconds of the whole machine, and wall seconds, of a first run in shards of this size."""
    place = folder / f"{shard}-{number}"
    place.mkdir()
    (place / "config.yaml").write_text(yaml.safe_dump({"source": str(folder / "images"), "sizes": {"thumb": SIZE}}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/slurm"), "--set-threads", "shard=2"]
    command += ["--set-resources", f"shard:pictures={shard}", "--default-resources", "mem_mb=500", "runtime=10"]
    busy, start = busy_time(), time.monotonic()
    done = subprocess.run(command, cwd=place, env=cluster.environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return busy_time() - busy, time.monotonic() - start


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
