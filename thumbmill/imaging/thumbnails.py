"""The whole way of one picture: open, decode once, render every size, encode every format, write."""

import resource
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile

from thumbmill import failures
from thumbmill.errors import MemoryLimitError, PictureError
from thumbmill.failures import Kind
from thumbmill.files import remove_file, write_atomically
from thumbmill.imaging.animation import first_frame, read_animation
from thumbmill.imaging.encode import FORMATS, encode
from thumbmill.imaging.geometry import Size
from thumbmill.imaging.reader import (
    describe_error,
    fail_if_modified,
    header_size,
    open_file,
    open_picture,
)
from thumbmill.imaging.render import render
from thumbmill.imaging.signatures import JPEG_KINDS, read_jpeg
from thumbmill.imaging.trailer import check_trailer

# Bytes of memory that a decoder may need for each pixel: libwebp's, the most of all (python -m trials.hostile).
DECODER_BYTES_PER_PIXEL = 17


class Thumbnail(NamedTuple):
    """One file to make: its path, its size (as in config.yaml; `width`, `height` and `fit` are needed), its format."""

    path: str
    size: Size
    format: str


class Rendered(NamedTuple):
    """What is to be saved: for each thumbnail its frames, one unless it is animated, with what they have in common."""

    frames: list[list[Image.Image]]
    durations: list[int]  # milliseconds that each frame is shown
    loop: int  # how often the animation runs; 0: endlessly


def make_thumbnails(
    source: str,
    thumbnails: Iterable[Thumbnail],
    *,
    quality: Mapping[str, int],
    background: str = "#ffffff",
    max_pixels: int = 200_000_000,
    linear: bool = False,
    animated: bool = False,
    resampler: str = "fast",
    damaged: str = "refuse",
    read: Collection[str] = (),
) -> list[str]:
    """Decode `source` once and write all its `thumbnails`, or none of them.

    `quality` maps a format to its encoder's 1 to 100; `background` is the `#rrggbb` that shows through where a format
    has no transparency and around a picture that is padded; `max_pixels` is the largest width x height accepted, of
    all frames together where an animation stays one (`animated`); `linear` averages light instead of numbers;
    `resampler` is "fast" or "pillow" (see resampling.resample); `damaged` is "refuse", or "make" to make what can be
    decoded of a damaged picture; `read` names formats that are read besides the usual ones: "+jpeg2000", "+psd",
    "+jpegxl".
    Return notes for the user, one line each: what is wrong with the picture and did not keep it from being made.

    Raises PictureError if the picture cannot be read or its file changes meanwhile, or a thumbnail cannot be written;
    MemoryLimitError, a PictureError, if only memory is lacking.
    """
    thumbnails = list(thumbnails)
    notes: list[str] = []
    sizes = [thumbnail.size for thumbnail in thumbnails]
    animated = animated and any(FORMATS[thumbnail.format].animates for thumbnail in thumbnails)

    def attempt() -> Rendered:
        return render_file(
            file,
            sizes,
            background,
            max_pixels,
            notes,
            linear=linear,
            animated=animated,
            resampler=resampler,
            read=read,
        )

    try:
        with open_file(source) as file, fail_if_modified(source, file):
            try:
                rendered = attempt()
            except MemoryError:
                raise
            except Exception as error:  # a decoder raises anything at a malformed file: struct.error, SyntaxError...
                failure = describe_error(error)
                if failure.kind == Kind.DAMAGED:
                    failure = unusual_jpeg(file) or failure
                if failure.kind == Kind.DAMAGED and may_lack_memory(file, max_pixels, read):
                    raise MemoryLimitError(failures.out_of_memory(f"decode it, or {failure.text}")) from error
                if damaged != "make" or failure.kind != Kind.DAMAGED:
                    raise PictureError(failure) from error
                rendered = attempt_despite_damage(failure, attempt)
                notes.append(failures.made_despite(failure))
    except MemoryError as error:
        raise MemoryLimitError(failures.out_of_memory("decode it")) from error
    except OSError as error:
        raise PictureError(describe_error(error)) from error
    write_all(encode_all(rendered, thumbnails, quality, background))
    return list(dict.fromkeys(notes))


def render_file(
    file: BinaryIO,
    sizes: list[Size],
    background: str,
    max_pixels: int,
    notes: list[str],
    *,
    linear: bool,
    animated: bool,
    resampler: str,
    read: Collection[str],
) -> Rendered:
    """Decode the picture in `file` and render it in all `sizes` (see make_thumbnails)."""
    with open_picture(file, max_pixels, read, notes) as picture:
        animation = read_animation(picture, file) if animated else None
        count = animation.length if animation else 1
        if picture.width * picture.height * count > max_pixels:
            raise PictureError(failures.too_large(picture.width, picture.height, max_pixels, count))
        regions = None
        frames: list[list[Image.Image]] = [[] for _ in sizes]
        durations = []
        for shown, duration in animation.frames if animation else [(first_frame(picture, file), 0)]:
            images, regions = render(
                shown,
                sizes,
                background,
                notes,
                linear=linear,
                resampler=resampler,
                regions=regions,
                reopen=lambda: open_picture(file, max_pixels, read),
            )
            for thumbnail, image in zip(frames, images, strict=True):
                thumbnail.append(image)
            durations.append(duration)
        if not ImageFile.LOAD_TRUNCATED_IMAGES and (note := check_trailer(file, picture.format)):
            notes.append(note)
    return Rendered(frames, durations, animation.plays if animation else 0)


def attempt_despite_damage(failure: failures.Failure, attempt: Callable[[], Rendered]) -> Rendered:
    """Return what `attempt` returns when Pillow takes a picture that ends too early for complete; the rest is black.

    Raises PictureError with the `failure` if even so nothing can be decoded.
    """
    # A global is the only way to ask Pillow for it. Another thread would take its damaged picture for sound meanwhile,
    # but with the setting that leads here it would make it just as well.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return attempt()
    except MemoryError:
        raise
    except Exception as error:
        raise PictureError(failure) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def unusual_jpeg(file: BinaryIO) -> failures.Failure | None:
    """Return the true reason if a picture could not be decoded because it is a JPEG of a kind that nothing decodes."""
    frame = read_jpeg(file)
    return failures.undecodable(str(frame)) if frame and frame.marker in JPEG_KINDS else None


def may_lack_memory(file: BinaryIO, max_pixels: int, read: Collection[str]) -> bool:
    """Whether a picture that could not be decoded is so large that this process's memory limit may be the reason.

    libjpeg, libwebp, libavif and libheif, refused memory, report what they report of damaged files.
    """
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        with open("/proc/self/statm") as status:
            used = int(status.read().split()[5]) * resource.getpagesize()  # proc(5): data and stack, in pages
        width, height = header_size(file, max_pixels, read)
        return width * height * DECODER_BYTES_PER_PIXEL > limit - used
    except Exception:  # a decoder raises anything; or this is no Linux
        return False


def encode_all(
    rendered: Rendered, thumbnails: list[Thumbnail], quality: Mapping[str, int], background: str
) -> list[tuple[str, bytes]]:
    """Return (path, content) of each thumbnail. Raises PictureError, or MemoryLimitError if memory is lacking."""
    encoded = []
    for thumbnail, frames in zip(thumbnails, rendered.frames, strict=True):
        try:
            content = encode(frames, thumbnail.format, quality, background, rendered.durations, rendered.loop)
        except MemoryError as error:
            raise MemoryLimitError(failures.out_of_memory(f"save it as {thumbnail.format}")) from error
        except (OSError, ValueError) as error:
            failure = failures.not_encoded(thumbnail.format, *frames[0].size, error)
            raise PictureError(failure) from error
        encoded.append((thumbnail.path, content))
    return encoded


def write_all(files: list[tuple[str, bytes]]) -> None:
    """Write all `files` (path, content), or none. Raises PictureError."""
    for path, content in files:
        try:
            write_atomically(path, content)
        except OSError as error:
            for other, _ in files:
                remove_file(other)
            raise PictureError(failures.not_written(path, error)) from error
