"""AVIF and HEIC: brands, cropping, rotation, mirroring, colours and repetitions that the container states."""

import io
import itertools
import random
import struct

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain, difference
from tests.support.isobmff import append, box, clap, imir, irot, with_nclx, with_properties
from tests.support.pictures import BLUE, GREEN, RED, YELLOW, box_size, corners, exif, plain, saved
from thumbmill.imaging.av1 import read_colours
from thumbmill.imaging.isobmff import Clap, Nclx, Properties, coding, read_properties

EXACT = {"quality": 95, "subsampling": "4:4:4"}
TURNS = {
    0: None,
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}
MIRRORINGS = {None: None, 0: Image.Transpose.FLIP_TOP_BOTTOM, 1: Image.Transpose.FLIP_LEFT_RIGHT}


def avif(picture: Image.Image | None = None) -> bytes:
    """Return a picture (the four corners by default) as AVIF, nearly lossless."""
    return saved(picture or corners(), "AVIF", **EXACT)


def heic(picture: Image.Image, **options) -> bytes:
    """Return a picture as HEIC; skip the test if its library is not installed."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    return saved(picture, "HEIF", quality=95, chroma=444, **options)


def renamed(content: bytes, major: bytes, *compatible: bytes) -> bytes:
    """Return a file with other brands, as many as fit in the place of its own."""
    length = int.from_bytes(content[:4], "big")
    brands = major + bytes(4) + b"".join(compatible)
    return content[:8] + brands.ljust(length - 8, b"\0") + content[length:]


# Brands


@pytest.mark.parametrize(
    ("major", "compatible"),
    [
        (b"avif", (b"mif1",)),
        (b"mif1", (b"avif",)),
        (b"mif1", (b"mif1", b"miaf", b"heic", b"avif")),
        (b"miaf", (b"avif", b"miaf")),
        (b"MA1A", (b"miaf", b"mif1", b"avif")),
    ],
)
def test_avif_is_known_by_any_of_its_brands(make, major, compatible):
    """A general brand says nothing of the coding; the compatible ones do."""
    thumbnail = make(renamed(avif(), major, *compatible), box_size(64, 64))
    assert difference(thumbnail, corners()) < 4


def test_animation_is_known_by_its_general_brand(make):
    """Its compatible brands are those of both kinds, AVIF and general ones."""
    content = saved(plain(RED), "AVIF", save_all=True, append_images=[plain(BLUE)], duration=100)
    content = renamed(content, b"msf1", b"avis", b"msf1", b"mif1")
    animation = make(content, box_size(16, 16), "webp", animated=True)
    assert animation.n_frames == 2


@pytest.mark.parametrize(
    ("major", "compatible"), [(b"mif1", (b"heic",)), (b"heix", (b"mif1", b"avif")), (b"miaf", (b"heic",))]
)
def test_heic_is_known_by_any_of_its_brands(make, major, compatible):
    """The major one decides, if it names the coding."""
    thumbnail = make(renamed(heic(corners()), major, *compatible), box_size(64, 64))
    assert difference(thumbnail, corners()) < 6


def test_heif_in_a_coding_without_a_decoder_is_not_called_damaged(make):
    """Here AV1, which libheif reads by a plugin only, under a brand that promises another."""
    pytest.importorskip("pillow_heif")
    reason = make.refusal(renamed(avif(), b"heic", b"mif1", b"heic"), damaged="make")
    assert reason.startswith("a HEIF picture in AV1 coding, a kind that cannot be read")


@pytest.mark.parametrize(
    "start", [b"", b"\0\0\0\x18ftypisom\0\0\0\0mp41", b"\0\0\0\x14ftypmif", b"\xff\xff\xff\xffftypqt  ", b"x" * 256]
)
def test_other_files_are_neither(start):
    """Movies, and starts that are cut."""
    assert coding(start) is None


# Cropping, rotation, mirroring


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("mirrored", [None, 0, 1])
@pytest.mark.parametrize("turned", range(4))
def test_cropped_then_turned_then_mirrored(make, turned, mirrored, fit):
    """The order of MIAF (ISO/IEC 23000-22, 7.3.6.7). The clean aperture is the left part of the lower two thirds."""
    properties = [clap(48, 32, (-16, 2), (16, 2))]
    properties += [irot(turned)] if turned else []
    properties += [] if mirrored is None else [imir(mirrored)]
    expected = corners().crop((0, 16, 48, 48))
    for transposition in (TURNS[turned], MIRRORINGS[mirrored]):
        expected = expected if transposition is None else expected.transpose(transposition)
    size = box_size(24, 24, fit)
    thumbnail = make(with_properties(avif(), *properties), size)
    plainly = make(saved(expected, "PNG"), size)
    assert difference(thumbnail, plainly) < 3


def test_crop_at_the_origin_with_odd_sizes(make):
    """31 x 23 pixels of 64 x 48: half a pixel in the offset of the centres."""
    content = with_properties(avif(), clap(31, 23, (-33, 2), (-25, 2)))
    thumbnail = make(content, box_size(64, 64))
    assert thumbnail.size == (31, 23)
    assert_plain(thumbnail, RED, 2)


def test_what_is_cropped_off_is_no_border_to_trim(make):
    """Trimming looks at what is shown: within the aperture a blue square on yellow."""
    picture = plain(RED, size=(96, 96))
    picture.paste(YELLOW, (16, 16, 80, 80))
    picture.paste(BLUE, (32, 32, 48, 64))
    content = with_properties(avif(picture), clap(64, 64), irot(1))
    thumbnail = make(content, box_size(96, 96) | {"trim": True})
    assert thumbnail.size == (32, 16)
    assert_plain(thumbnail.crop((2, 2, 30, 14)), BLUE, 12)


@pytest.mark.parametrize("orientation", [3, 6])
def test_exif_of_an_avif_does_not_turn_it(make, orientation):
    """It says how the camera was held; the container has the picture upright already."""
    block = exif(1)
    del block[0x0112]  # which Pillow would turn into a property
    block[0x0128] = orientation
    content = saved(corners(), "AVIF", exif=block, **EXACT)
    tag = struct.pack(">HHI", 0x0128, 3, 1)
    assert content.count(tag) == 1
    content = content.replace(tag, struct.pack(">HHI", 0x0112, 3, 1))
    assert difference(make(content, box_size(64, 64)), corners()) < 3


def test_heic_is_cropped_and_turned_once(make):
    """libheif does both, and EXIF counts for nothing."""
    content = heic(corners().crop((0, 0, 60, 44)), exif=exif(6).tobytes())  # coded as 64 x 48 or so, and cropped
    thumbnail = make(content, box_size(64, 64))
    assert thumbnail.size == (44, 60)
    for at, colour in {(36, 8): RED, (36, 52): GREEN, (8, 8): BLUE, (8, 52): YELLOW}.items():
        assert_colour(thumbnail.getpixel(at), colour, 16)


@pytest.mark.parametrize(
    ("aperture", "reason"),
    [
        (clap(48, 32, (200, 1)), "cropping is ignored: it would leave nothing"),
        (clap(0, 32), "cropping is ignored: it would leave nothing"),
        (box(b"clap", struct.pack(">IIIIiIiI", 48, 0, 32, 1, 0, 1, 0, 1)), "colours are ignored: a denominator of 0"),
    ],
    ids=["outside", "empty", "denominator"],
)
def test_crop_that_makes_no_sense_costs_a_note(make, aperture, reason):
    """The picture is shown whole."""
    notes = make.notes(with_properties(avif(), aperture), [box_size(64, 64)])
    assert len(notes) == 1 and notes[0].endswith(reason)
    assert Image.open(make.out / "0.png").size == (64, 48)


def test_animation_is_cropped_and_turned_by_its_track(make):
    """All its frames are. The picture beside it, for programs that show no animation, is not looked at."""
    frames = [corners(), plain(BLUE, size=(64, 48))]
    content = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100, **EXACT)
    content = with_properties(content, clap(48, 32, (-16, 2), (-16, 2)), irot(1))
    content = content[: content.index(b"meta")] + content[content.index(b"meta") :].replace(b"clap", b"clop", 1)
    animation = make(content, box_size(64, 64), "png", animated=True)
    assert (animation.n_frames, animation.size) == (2, (32, 48))
    for at, colour in {(4, 4): GREEN, (28, 4): YELLOW, (4, 44): RED, (28, 44): BLUE}.items():
        assert_colour(animation.convert("RGB").getpixel(at), colour, 16)
    animation.seek(1)
    assert_plain(animation.convert("RGB"), BLUE, 16)


def test_crop_that_reaches_beyond_the_picture_shows_what_is_there(make):
    """The picture's right half."""
    thumbnail = make(with_properties(avif(), clap(64, 48, (32, 1))), box_size(64, 64))
    assert thumbnail.size == (32, 48)
    assert_colour(thumbnail.getpixel((3, 3)), GREEN, 3)


# Colours


@pytest.mark.parametrize("kind", [avif, heic])
@pytest.mark.parametrize(
    ("primaries", "transfer", "expected"),
    [(1, 13, (200, 100, 50)), (2, 2, (200, 100, 50)), (12, 13, (215, 93, 31)), (1, 8, (229, 168, 123))],
    ids=["srgb", "unspecified", "display-p3", "linear"],
)
def test_colours_by_code_points(make, kind, primaries, transfer, expected):
    """ITU-T H.273; the matrix is the decoder's business."""
    content = with_nclx(kind(plain((200, 100, 50))), primaries, transfer)
    assert_plain(make(content), expected, 4)


def test_embedded_profile_counts_before_code_points(make):
    """A file may have both: MIAF 7.3.6.4."""
    content = saved(plain((200, 100, 50)), "AVIF", icc_profile=srgb_profile(), **EXACT)
    content = with_nclx(content, 12, 8)
    assert read_properties(io.BytesIO(content)).nclx == Nclx(12, 8, 6, True)
    assert_plain(make(content), (200, 100, 50), 4)


def recoded(content: bytes, primaries: int, transfer: int) -> bytes:
    """Return an AVIF file of Pillow's that states these colours in its AV1 data alone."""
    content = content.replace(b"colrnclx", b"freenclx")
    stated = f"1{1:08b}{13:08b}{6:08b}"  # a flag, and three code points: those of sRGB and of BT.601's matrix
    start = content.index(b"mdat") + 4
    bits = "".join(f"{byte:08b}" for byte in content[start : start + 24])
    assert bits.count(stated) == 1
    bits = bits.replace(stated, f"1{primaries:08b}{transfer:08b}{6:08b}")
    return content[:start] + int(bits, 2).to_bytes(24, "big") + content[start + 24 :]


@pytest.mark.parametrize("moving", [False, True])
def test_colours_in_the_av1_data_count_if_the_container_states_none(make, moving):
    """As libavif has it, for a picture and for an animation."""
    options = {"save_all": True, "append_images": [plain((9, 9, 9))], "duration": 100} if moving else {}
    content = saved(plain((200, 100, 50)), "AVIF", **EXACT, **options)
    read = read_properties(io.BytesIO(recoded(content, 12, 13))).nclx
    assert read == Nclx(12, 13, 6, True)
    assert_plain(make(recoded(content, 12, 13), format="png"), (215, 93, 31), 4)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("000 1 1 00000 0111 0111 00000000 00000000 000 000 0 0 1 00001001 00010000 00001001 0", (9, 16, 9, False)),
        ("001 1 1 00000 0000 0000 0 0 000 000 0 1 00000001 00001101 00000000", (1, 13, 0, True)),
        ("010 1 1 00000 0000 0000 0 0 000 000 1 1 0 1 00001100 00001101 00000110 1", (12, 13, 6, True)),
        ("000 1 1 00000 0000 0000 0 0 000 000 0 0 0", None),
        # Timing, a decoder model, two operating points, frame numbers, tools
        (
            "000 0 0 1"
            + "0" * 64
            + "1 00101 1 00011"
            + "0" * 32
            + "00100 00100 1 00001"
            + ("0" * 12 + "01000 1 1" + "0" * 9 + "1 0000") * 2
            + "0000 0000 0 0 1 0000 000 000 1111 1 11 0 1 0 1 011 000 1 0 1 00001001 00010010 00001001 0",
            (9, 18, 9, False),
        ),
    ],
    ids=["10 bits or so", "profile 1", "profile 2", "none", "everything"],
)
def test_colours_of_every_form_of_sequence_header(bits, expected):
    """Behind a temporal delimiter and padding, with and without a length."""
    bits = bits.replace(" ", "")
    payload = int(bits.ljust(-len(bits) // 8 * -8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    before = b"\x12\0" + b"\x7e\0\x81\0x"
    assert read_colours(before + b"\x0a" + bytes([len(payload)]) + payload + b"\x32\1x") == expected
    assert read_colours(before + b"\x08" + payload) == expected
    assert read_colours(before) is None
    with pytest.raises(ValueError, match="cut"):
        read_colours(before + b"\x08" + payload[:2])


def srgb_profile() -> bytes:
    """Return the profile of sRGB."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# Hostile files


def test_properties_of_broken_files_are_read_or_refused():
    """Thousands of broken boxes: the outcome is Properties or a ValueError, and each ends."""
    frames = [plain(colour, size=(16, 16)) for colour in (RED, BLUE)]
    still = with_properties(avif(), clap(48, 32), irot(1))
    moving = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100)
    chance = random.Random(7)
    outcomes = set()
    for content, number in itertools.product((still, moving), range(1500)):
        broken = bytearray(content)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        if number % 5 == 0:
            del broken[chance.randrange(8, len(broken)) :]
        try:
            outcomes.add(type(read_properties(io.BytesIO(broken))))
        except ValueError:
            outcomes.add(ValueError)
    assert outcomes == {Properties, ValueError}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">I4sI", 12, b"ftyp", 0) + struct.pack(">I4s", 0xFFFFFFFF, b"meta"),
        struct.pack(">I4sQ", 1, b"meta", 2**63),
        struct.pack(">I4sQ", 1, b"meta", 0),
        struct.pack(">I4s", 3, b"meta") * 10,
        box(b"meta", bytes(4) + box(b"iprp", box(b"ipma", bytes([1, 0, 0, 1, 255, 255, 255, 255])))),
        box(b"meta", bytes(4) + struct.pack(">I4s", 0, b"iprp") + struct.pack(">I4s", 4, b"ipco")),
        with_properties(avif(), box(b"clap", bytes(12))).replace(b"mdat", b"free"),
    ],
    ids=["4 GB", "2^63 bytes", "64-bit, 0", "3", "2^32 associations", "shorter than its header", "cut aperture"],
)
def test_length_that_is_a_lie_is_refused(content):
    """Nothing is allocated or repeated by what a field says."""
    with pytest.raises(ValueError):
        read_properties(io.BytesIO(content))


def test_file_of_tiny_boxes_is_given_up():
    """No more than a thousand are skipped in search of the properties, nor one that ends beyond the file."""
    assert read_properties(io.BytesIO(struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + bytes(99))) == Properties()
    assert read_properties(io.BytesIO(box(b"free", b"") * 5000 + box(b"moov", b"x" * 9))) == Properties()


def test_properties_of_a_whole_file():
    """Each as it was written."""
    content = with_properties(avif(), clap(48, 32, (-16, 2), (16, 2)))
    pixels = content.index(b"mdat") + 4
    expected = Properties(Clap(48, 32, -8, 8), Nclx(1, 13, 6, True), coded_at=pixels)
    assert read_properties(io.BytesIO(content)) == expected
    grown = bytearray(content)
    append(grown, [b"meta", b"iprp"], box(b"free", bytes(20)))
    assert read_properties(io.BytesIO(grown)).clap == Clap(48, 32, -8, 8)
