"""thumbmill's thumbnails beside a full decode with Lanczos and beside libvips: how alike, how fast, how much memory.

    pip install '.[quality]'
    python -m bench.quality likeness

prints a Markdown table. See --help for the other comparisons. Times are processor time on one core.
"""

import argparse
import functools
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import mean, median

import numpy
from PIL import Image, ImageCms, ImageDraw, ImageOps

from bench.contenders import REPOSITORY, process_file
from bench.pictures import WALLPAPERS, draw_picture, list_pictures
from scripts.thumbnail import FORMATS, LEAST_LEFT, Thumbnail, make_thumbnails, render

LANCZOS = Image.Resampling.LANCZOS
WHITE = "#ffffff"


def import_vips():
    """libvips, told to use one core. Exits with what to do if it is missing."""
    os.environ["VIPS_CONCURRENCY"] = "1"
    try:
        import pyvips
    except (ImportError, OSError):
        sys.exit("bench.quality: libvips is missing: pip install '.[quality]'")
    return pyvips


def box_size(box: int) -> dict:
    """The size that holds the whole picture in `box` x `box` pixels."""
    return {"width": box, "height": box, "fit": "contain"}


# Pictures


def zone_plate(side: int = 1600) -> Image.Image:
    """Rings that grow finer outwards, up to the finest that there are: what is wrong with a filter shows as moire."""
    across, down = numpy.mgrid[:side, :side] - side / 2
    rings = 0.5 + 0.5 * numpy.cos(numpy.pi * (across**2 + down**2) / side)
    return Image.fromarray((rings * 255).round().astype("uint8")).convert("RGB")


def colour_patches(side: int = 1200, count: int = 12) -> Image.Image:
    """Strong, dull and grey colours side by side, each in a square."""
    rng = random.Random(7)
    picture = Image.new("RGB", (side, side))
    for number in range(count * count):
        row, column = divmod(number, count)
        step = side // count
        grey = number * 255 // (count * count - 1)
        colour = (grey,) * 3 if row % 3 == 0 else tuple(rng.randbytes(3))
        picture.paste(colour, (column * step, row * step, (column + 1) * step, (row + 1) * step))
    return picture


def fine_text(width: int = 1600, height: int = 1200) -> Image.Image:
    """Lines of text of 12 to 60 pixels, black on white and white on blue."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height), fill=(20, 40, 120))
    top, size = 10, 12
    while top < height:
        text = f"{size} px  The quick brown fox jumps over the lazy dog 0123456789"
        draw.text((20, top), text, fill="black", font_size=size)
        draw.text((width // 2 + 20, top), text, fill="white", font_size=size)
        top, size = top + size * 3 // 2, min(60, size + 4)
    return picture


def transparent_edges(side: int = 1200) -> Image.Image:
    """Discs of light, strong and dark colours on nothing; what is invisible is black, white or green."""
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    third = side // 3
    colours = [(250, 250, 250), (200, 60, 60), (20, 20, 20)]
    for row, hidden in enumerate(((0, 0, 0), (255, 255, 255), (0, 255, 0))):
        for column, colour in enumerate(colours):
            tile = Image.new("RGBA", (third, third), (*hidden, 0))
            shape = Image.new("L", (third * 4, third * 4))
            ImageDraw.Draw(shape).ellipse((third // 4, third // 4, third * 4 - third // 4, third * 4 - third // 4), 255)
            tile.paste((*colour, 255), mask=shape.resize((third, third), LANCZOS))
            picture.paste(tile, (column * third, row * third))
    return picture


def make_charts(folder: Path) -> dict[str, str]:
    """Save the test charts below `folder`. Returns their paths, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, chart in {"zone plate": zone_plate, "colour patches": colour_patches, "fine text": fine_text}.items():
        for extension, options in {"jpg": {"quality": 95, "subsampling": 0}, "png": {}}.items():
            paths[f"{name}, {extension}"] = str(folder / f"{name.replace(' ', '-')}.{extension}")
            chart().save(paths[f"{name}, {extension}"], **options)
    paths["transparent edges, png"] = str(folder / "transparent-edges.png")
    transparent_edges().save(paths["transparent edges, png"])
    return paths


# Likeness


def thumbmills(path: str, box: int) -> Image.Image:
    """The pixels of thumbmill's thumbnail, before they are encoded."""
    with Image.open(path) as picture:
        (image,), _ = render(picture, [box_size(box)], WHITE, [])
    return image


def reference(path: str, size: tuple[int, int], convert_first: bool = True) -> Image.Image:
    """The best that can be had: every pixel decoded, converted to sRGB at full size, resampled by Lanczos."""
    with Image.open(path) as picture:
        icc = picture.info.get("icc_profile")
        image = ImageOps.exif_transpose(picture)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if icc and convert_first:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        image = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), 1, image.mode, flags=flags)
    return image.resize(size, LANCZOS)


def libvipses(path: str, size: tuple[int, int]) -> Image.Image:
    """The pixels of libvips' `thumbnail` of exactly that size, in sRGB."""
    made = import_vips().Image.thumbnail(path, size[0], height=size[1], size="force", export_profile="srgb")
    return Image.fromarray(made.colourspace("srgb").numpy())


def on_white(image: Image.Image) -> numpy.ndarray:
    """An opaque picture as an array: transparency shows white."""
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    return numpy.asarray(image.convert("RGB"))


def likeness(one: Image.Image, other: Image.Image) -> tuple[float, float, float]:
    """How alike two pictures are: structural similarity (1: the same), and the colour difference CIEDE2000.

    Of the differences the mean and the 99th percentile; 1 is about what an eye can tell. Transparency shows white.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab
    from skimage.metrics import structural_similarity

    first, second = on_white(one), on_white(other)
    similarity = structural_similarity(first, second, channel_axis=2, data_range=255)
    differences = deltaE_ciede2000(rgb2lab(first), rgb2lab(second))
    return similarity, differences.mean(), float(numpy.percentile(differences, 99))


def compare_likeness(paths: Iterable[str], box: int, with_vips: bool = True) -> dict[str, list[tuple]]:
    """likeness() to the reference of thumbmill's and libvips' thumbnails of each picture."""
    found: dict[str, list[tuple]] = {"thumbmill": []} | ({"libvips": []} if with_vips else {})
    for path in paths:
        ours = thumbmills(path, box)
        best = reference(path, ours.size)
        found["thumbmill"].append(likeness(best, ours))
        if with_vips:
            found["libvips"].append(likeness(best, libvipses(path, ours.size)))
    return found


def print_likeness(photos: Mapping[str, list[str]], charts: Mapping[str, str]) -> None:
    """The table of likeness: each group of photographs at three sizes, each chart at one."""
    print("| | to | maker | SSIM mean | SSIM least | CIEDE2000 mean | 99 % |\n|---|---:|---|---:|---:|---:|---:|")
    cases = [(f"{len(paths)} {group}", box, paths) for group, paths in photos.items() for box in (720, 256, 128)]
    cases += [(name, 256, [path]) for name, path in charts.items()]
    for name, box, paths in cases:
        for maker, found in compare_likeness(paths, box).items():
            similar, middle, most = zip(*found, strict=True)
            figures = f"{mean(similar):.4f} | {min(similar):.4f} | {mean(middle):.2f} | {mean(most):.2f}"
            print(f"| {name} | {box} | {maker} | {figures} |", flush=True)


def print_scales(paths: list[str]) -> None:
    """What each scale of the JPEG decoder costs in likeness, by the pixels left for each of the thumbnail's."""
    from skimage.metrics import structural_similarity

    print("| decoded at | pixels left | SSIM mean | least |\n|---|---:|---:|---:|")
    for divisor in LEAST_LEFT:
        for left in (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0):
            found = []
            for path in paths:
                with Image.open(path) as picture:
                    whole = picture.size
                    size = tuple(round(side / divisor / left) for side in whole)
                    if min(size) < 32:
                        continue
                    picture.draft(None, (whole[0] // divisor, whole[1] // divisor))
                    made = picture.convert("RGB").resize(size, LANCZOS, (0, 0, *(side / divisor for side in whole)))
                best = reference(path, size, convert_first=False)
                found.append(structural_similarity(on_white(best), on_white(made), channel_axis=2, data_range=255))
            if found:
                print(f"| 1/{divisor} | {left} | {mean(found):.4f} | {min(found):.4f} |", flush=True)


# Time


def on_one_core() -> None:
    """Keep this process on one core, so that nothing is done beside it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def time_in_turn(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time that each contender takes: the median of `rounds` in turn."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            before = time.process_time()
            work()
            spent[name].append((time.process_time() - before) * 1000)
    return {name: median(each) for name, each in spent.items()}


def time_sources(folder: Path) -> dict[str, str]:
    """The pictures that are timed: paths below `folder`, where they are made, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = photograph((3000, 2225))
    alpha = photo.crop((0, 0, 2048, 1536)).convert("RGBA")
    mask = Image.new("L", alpha.size)
    ImageDraw.Draw(mask).ellipse((50, 50, 2000, 1500), 255)
    alpha.putalpha(mask)
    small = photo.crop((0, 0, 2560, 1920)).resize((640, 480), LANCZOS)
    made = {
        "2725x2225.jpg": (photo.crop((0, 0, 2725, 2225)), {"quality": 90}),
        "3000x2000.jpg": (photo.crop((0, 0, 3000, 2000)), {"quality": 90}),
        "640x480.jpg": (small, {"quality": 85}),
        "2048x1536.png": (alpha, {}),
    }
    for name, (picture, options) in made.items():
        picture.save(folder / name, **options)
    return {name: str(folder / name) for name in made}


def photograph(size: tuple[int, int]) -> Image.Image:
    """A part of `size` of the largest wallpaper, or a drawn picture where there is none."""
    folder = WALLPAPERS
    paths = [os.path.join(folder, name) for name in list_pictures(folder)] if os.path.isdir(folder) else []
    for path in sorted(path for path in paths if path.endswith(".jpg")):
        with Image.open(path) as picture:
            if picture.width >= size[0] + 1000 and picture.height >= size[1] + 500:
                return picture.convert("RGB").crop((1000, 500, 1000 + size[0], 500 + size[1]))
    return draw_picture(1, size)


def print_times(folder: Path, rounds: int) -> None:
    """The table of times: thumbmill's function, plain Image.thumbnail and libvips' thumbnail, on one core."""
    vips = import_vips()
    on_one_core()
    sources = time_sources(folder)
    target = str(folder / "thumbnail.jpg")

    def ours(source: str, *boxes: int, **options) -> Callable[[], object]:
        thumbnails = [Thumbnail(f"{target}{box}", box_size(box), "jpeg") for box in boxes]
        return functools.partial(make_thumbnails, source, thumbnails, quality={"jpeg": 80}, **options)

    def libvips(source: str, box: int) -> Callable[[], object]:
        def make() -> None:
            made = vips.Image.thumbnail(source, box, height=box, size="down")
            made.jpegsave(target, Q=80, keep="none", background=[255, 255, 255])

        return make

    print("| one core, ms | thumbmill | Image.thumbnail | libvips | to libvips |\n|---|---:|---:|---:|---:|")
    for name, box in (("2725x2225.jpg", 720), ("3000x2000.jpg", 256), ("640x480.jpg", 128), ("2048x1536.png", 720)):
        source = sources[name]
        plain = functools.partial(process_file, source, [(target, box)], 80)
        contenders = {"ours": ours(source, box), "plain": plain, "libvips": libvips(source, box)}
        found = time_in_turn(contenders, rounds * 3 if box == 128 else rounds)
        figures = " | ".join(f"{found[each]:.2f}" for each in contenders)
        print(f"| {name} to {box} | {figures} | {found['ours'] / found['libvips']:.2f} |", flush=True)
    source = sources["2725x2225.jpg"]
    sets = {"128": (128,), "256": (256,), "720": (720,), "128, 256 and 720": (128, 256, 720)}
    found = time_in_turn({name: ours(source, *boxes) for name, boxes in sets.items()}, rounds)
    print("\n| 2725x2225.jpg to | ms | to 720 alone |\n|---|---:|---:|")
    for name, each in found.items():
        print(f"| {name} | {each:.1f} | {each / found['720']:.2f} |")
    found = time_in_turn({"off": ours(source, 720), "on": ours(source, 720, linear=True)}, max(3, rounds // 3))
    print(f"\nlinear light: {found['on']:.0f} ms instead of {found['off']:.0f}, {found['on'] / found['off']:.1f} times")


def print_encoders(paths: list[str]) -> None:
    """What each of the encoders' flags costs in time and saves in bytes, for thumbnails of 400 pixels."""
    on_one_core()
    images = [thumbmills(path, 400).convert("RGB") for path in paths]
    flags = {
        "jpeg": [{}, {"optimize": True}, {"progressive": True}],
        "webp": [{"method": method} for method in range(7)],
        "avif": [{"speed": speed, "max_threads": 1} for speed in range(4, 11)],
        "png": [{"compress_level": level} for level in (1, 2, 3, 4, 6, 9)],
    }
    quality = {"jpeg": {"quality": 80}, "webp": {"quality": 80}, "avif": {"quality": 65}, "png": {}}
    print("| format | flag | ms | bytes | SSIM to the pixels |\n|---|---|---:|---:|---:|")
    for format, choices in flags.items():
        for options in choices:
            spent, sizes, similar = [], [], []
            for image in images:
                content = io.BytesIO()
                before = time.process_time()
                image.save(content, FORMATS[format].name, **options, **quality[format])
                spent.append(time.process_time() - before)
                sizes.append(len(content.getvalue()))
                similar.append(likeness(image, Image.open(content))[0])
            chosen = all(FORMATS[format].options.get(key) == value for key, value in options.items())
            flag = ", ".join(f"{key} {value}" for key, value in options.items() if key != "max_threads") or "none"
            flag = f"**{flag}**" if chosen else flag
            print(
                f"| {format} | {flag} | {mean(spent) * 1000:.2f} | {mean(sizes):,.0f} | {mean(similar):.4f} |",
                flush=True,
            )


# Memory

LARGE = {"JPEG, baseline": ("jpg", {}), "JPEG, progressive": ("jpg", {"progressive": True}), "PNG": ("png", {})}


def print_memory(folder: Path, side: int = 10_000) -> None:
    """The most memory that a process has resident while it makes 720 pixels of 100 megapixels."""
    folder.mkdir(parents=True, exist_ok=True)
    tile = photograph((2000, 2000))
    picture = Image.new("RGB", (side, side))
    for left in range(0, side, 2000):
        for top in range(0, side, 2000):
            picture.paste(tile, (left, top))
    program = (
        "import json, re, sys, time\n"
        "from scripts.thumbnail import Thumbnail, make_thumbnails\n"
        "size = {'width': 720, 'height': 720, 'fit': 'contain'}\n"
        "make_thumbnails(sys.argv[1], [Thumbnail(sys.argv[2], size, 'jpeg')], quality={'jpeg': 80})\n"
        # Not getrusage's figure: it counts what this process, its parent, has resident when it forks.
        "most = int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
        "print(json.dumps([most, time.process_time()]))\n"
    )
    print(f"| {side * side / 1e6:.0f} megapixels to 720 | most memory, MB | s |\n|---|---:|---:|")
    for name, (extension, options) in LARGE.items():
        source = folder / f"large.{extension}"
        picture.save(source, **options)
        command = [sys.executable, "-c", program, str(source), str(folder / "thumbnail.jpg")]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        most, seconds = json.loads(done.stdout)
        print(f"| {name} | {most * 1024 / 1e6:,.0f} | {seconds:.2f} |", flush=True)
        source.unlink()


# Contact sheet


def draw_sheet(paths: Mapping[str, str], target: str, box: int = 200) -> None:
    """A picture of each source's thumbnail by the reference, thumbmill, and libvips, side by side, and the difference.

    Differences are shown eight times as strong, around grey. Transparency shows as pink.
    """
    columns = ["full decode, Lanczos", "thumbmill", "libvips", "difference x 8"]
    sheet = Image.new("RGB", (180 + len(columns) * (box + 8), 20 + len(paths) * (box + 8)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(columns):
        draw.text((180 + column * (box + 8), 4), title, fill="black")
    for row, (name, path) in enumerate(paths.items()):
        top = 20 + row * (box + 8)
        draw.text((4, top + 4), name[:28], fill="black")
        ours = thumbmills(path, box)
        best = reference(path, ours.size)
        shown = [each.convert("RGBA") for each in (best, ours, libvipses(path, ours.size))]
        for column, image in enumerate(shown):
            canvas = Image.new("RGB", image.size, (255, 180, 200))
            canvas.paste(image, mask=image.getchannel("A"))
            sheet.paste(canvas, (180 + column * (box + 8), top))
        difference = on_white(ours).astype(int) - on_white(best)
        difference = Image.fromarray((128 + 8 * difference).clip(0, 255).astype("uint8"))
        sheet.paste(difference, (180 + 3 * (box + 8), top))
    sheet.save(target)


def main(arguments: list[str] | None = None) -> None:
    """Compare, and print."""
    whats = {
        "likeness": "SSIM and CIEDE2000 to a full decode with Lanczos, thumbmill and libvips",
        "scales": "what the scales of the JPEG decoder cost in likeness",
        "time": "thumbmill, Image.thumbnail and libvips on one core",
        "encoders": "time and bytes of each of the encoders' flags",
        "memory": "peak memory for 100 megapixels",
        "sheet": "a contact sheet to look at",
    }
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality",
        description="thumbmill's thumbnails beside a full decode with Lanczos and beside libvips.",
        epilog="\n".join(f"  {name:9} {text}" for name, text in whats.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=whats, metavar="WHAT", help="what is compared, see below")
    parser.add_argument(
        "--pictures", metavar="FOLDER", action="append", help=f"photographs ({WALLPAPERS}); more than once if you like"
    )
    parser.add_argument("--count", type=int, default=25, metavar="N", help="that many of each folder (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, metavar="R", help="of timing (%(default)s)")
    parser.add_argument("--sheet", metavar="FILE", default="contact-sheet.png", help="the sheet to draw (%(default)s)")
    default = os.path.join(tempfile.gettempdir(), "thumbmill-bench", "quality")
    parser.add_argument("--work", metavar="FOLDER", default=default, help="for pictures that are made (%(default)s)")
    options = parser.parse_args(arguments)
    work = Path(options.work)
    if options.what == "time":
        return print_times(work, options.rounds)
    if options.what == "memory":
        return print_memory(work)
    photos = {}
    for folder in options.pictures or [WALLPAPERS]:
        found = [os.path.join(folder, name) for name in list_pictures(folder)] if os.path.isdir(folder) else []
        found = [path for path in found if path.lower().endswith((".jpg", ".jpeg"))]
        if not found:
            sys.exit(f"bench.quality: no JPEG in {folder}: name a folder of photographs with --pictures")
        step = max(1, len(found) // options.count)
        photos[f"of {folder}"] = found[::step][: options.count]
    every = [path for paths in photos.values() for path in paths]
    if options.what == "likeness":
        print_likeness(photos, make_charts(work))
    elif options.what == "scales":
        print_scales(every)
    elif options.what == "encoders":
        print_encoders(every)
    else:
        some = {os.path.basename(path): path for paths in photos.values() for path in paths[:4]}
        draw_sheet(make_charts(work) | some, options.sheet)
    return None


if __name__ == "__main__":
    main()
