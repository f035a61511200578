"""What a file is that was taken for a picture, by its first bytes: so that the reason why it fails is true.

Asked only about files that could not be opened.
"""

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from thumbmill.imaging.orientation import oriented_size

START = 4096  # bytes that are looked at
MAX_JPEG_HEADERS = 4 << 20  # bytes in which the frame header of a JPEG is looked for

COPY_AGAIN = "copy it again from where it came from"
EXPORT = "export it as JPEG or PNG"
NOT_A_PICTURE = "it is no picture: delete it, or move it out of the source folder"
ERROR_PAGE = "perhaps an error page saved in the picture's place: download it again"

# The formats that are read, by how their files begin: whoever has such a file has a damaged one, or an unusual kind.
READ = {
    "JPEG": b"\xff\xd8",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF8",
    "BMP": rb"BM.{4}\0\0\0\0|BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "WebP": b"RIFF....WEBP",
    "AVIF": b"....ftypavi[fs]",
    "HEIC": b"....ftyp(?:hei[cmsx]|hev[cmsx])",
    "TIFF": rb"II[*+]\0|MM\0[*+]|II\0[*+]|MM[*+]\0",
}

# The formats that the setting `read` switches on.
SWITCHED = {
    "jpeg2000": b"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "psd": b"8BPS\0\1",
    "jpegxl": b"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
}
MASTER_EXTENSIONS = {
    "jpeg2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "psd": (".psd",),
    "jpegxl": (".jxl",),
}
SWITCHED_NAMES = {"jpeg2000": "a JPEG 2000 picture", "psd": "a Photoshop document", "jpegxl": "a JPEG XL picture"}

BLANK = rb"(?:\xef\xbb\xbf)?\s*"  # what text may begin with: the mark of UTF-8, and space

# What is not read, and what to do about it. The first that fits counts.
OTHER = [
    ("a large Photoshop document (PSB)", b"8BPS\0\2", EXPORT),
    ("a PDF document", rb"\s*%PDF-", EXPORT),
    ("a PostScript drawing", b"%!PS|\xc5\xd0\xd3\xc6", EXPORT),
    ("a Git LFS pointer", b"version https://git-lfs", "fetch the picture itself with `git lfs pull`"),
    ("a git-annex pointer", rb"(?:\.\./)*(?:\.git)?/annex/objects/", "fetch the picture itself with `git annex get`"),
    ("an AppleDouble file, which macOS keeps beside a file", b"\0\5\26\7", NOT_A_PICTURE),
    ("a macOS .DS_Store file", b"\0\0\0\1Bud1", NOT_A_PICTURE),
    ("an SVG drawing", rb"%s(?:<svg\b|<!DOCTYPE svg\b|<(?:\?xml|!--).{0,2000}?<(?:!DOCTYPE )?svg\b)" % BLANK, EXPORT),
    ("an HTML page", rb"(?i:%s(?:<(?:!--|\?xml).{0,2000}?)?<(?:!doctype html|html|head|body)\b)" % BLANK, ERROR_PAGE),
    ("an XML document", rb"%s<\?xml\b" % BLANK, ERROR_PAGE),
    ("a JSON document", rb'\s*[{\[]\s*["{\[\]}]', ERROR_PAGE),
    ("text that holds a picture (a data URL)", rb"data:image/", "decode it into a file"),
    ("a ZIP archive or an office document", b"PK(?:\3\4|\5\6|\7\b)", "unpack it"),
    ("a gzip archive", b"\x1f\x8b", "unpack it"),
    ("a bzip2 archive", b"BZh[1-9]", "unpack it"),
    ("an xz archive", b"\xfd7zXZ\0", "unpack it"),
    ("a Zstandard archive", rb"\x28\xb5\x2f\xfd", "unpack it"),
    ("a 7z archive", b"7z\xbc\xaf\x27\x1c", "unpack it"),
    ("a RAR archive", b"Rar!\x1a\7", "unpack it"),
    ("a tar archive", b".{257}ustar", "unpack it"),
    ("an office document or a Windows Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", NOT_A_PICTURE),
    ("a Canon raw picture (CR3)", b"....ftypcrx ", EXPORT),
    ("a QuickTime video", b"....ftypqt  |....(?:moov|mdat|wide)", NOT_A_PICTURE),
    ("an MP3 sound", b"ID3|\xff[\xfa\xfb]", NOT_A_PICTURE),
    ("an audio file (M4A)", b"....ftypM4[AB]", NOT_A_PICTURE),
    ("an MP4 video", b"....ftyp(?:mp4|iso|avc1|M4V|MSNV|3g|dash|f4v|mmp4|XAVC)", NOT_A_PICTURE),
    ("a picture or video of the ISO family", b"....ftyp", EXPORT),
    ("a Matroska or WebM video", b"\x1aE\xdf\xa3", NOT_A_PICTURE),
    ("an AVI video", b"RIFF....AVI ", NOT_A_PICTURE),
    ("a WAVE sound", b"RIFF....WAVE", NOT_A_PICTURE),
    ("an MPEG video", b"\0\0\1[\xba\xb3]", NOT_A_PICTURE),
    ("a Flash video", b"FLV\1", NOT_A_PICTURE),
    ("an Ogg sound or video", b"OggS", NOT_A_PICTURE),
    ("a FLAC sound", b"fLaC", NOT_A_PICTURE),
    ("an icon (ICO)", b"\0\0\1\0[\1-\x20]\0", EXPORT),
    ("a cursor (CUR)", b"\0\0\2\0[\1-\x20]\0", EXPORT),
    ("a macOS icon (ICNS)", b"icns", EXPORT),
    ("a JPEG XR picture", b"II\xbc\1", EXPORT),
    ("an OpenEXR picture", b"v/1\1", EXPORT),
    ("a Radiance picture (HDR)", b"#\\?(?:RADIANCE|RGBE)", EXPORT),
    ("a DICOM picture", b".{128}DICM", EXPORT),
    ("a FITS picture", b"SIMPLE  =", EXPORT),
    ("a Netpbm picture (PPM, PGM, PBM)", rb"P[1-7]\s", EXPORT),
    ("a DirectDraw texture (DDS)", b"DDS ", EXPORT),
    ("an SGI picture", b"\1\xda[\0\1][\1\2]", EXPORT),
    ("a PCX picture", b"\x0a[\0\2-\5]\1[\1\2\4\b]", EXPORT),
    ("a QOI picture", b"qoif", EXPORT),
    ("a BPG picture", b"BPG\xfb", EXPORT),
    ("a FLIF picture", b"FLIF", EXPORT),
    ("a DjVu document", b"AT&TFORM", EXPORT),
    ("a GIMP picture (XCF)", b"gimp xcf", EXPORT),
    ("a Krita or OpenRaster picture", b"application/x-krita", EXPORT),
    ("an MNG animation", b"\x8aMNG", EXPORT),
    ("a JNG picture", b"\x8bJNG", EXPORT),
    ("a Windows metafile (WMF)", b"\xd7\xcd\xc6\x9a", EXPORT),
    ("a Windows metafile (EMF)", b"\1\0\0\0.{36} EMF", EXPORT),
    ("a Fujifilm raw picture (RAF)", b"FUJIFILMCCD-RAW", EXPORT),
    ("a Panasonic raw picture (RW2)", b"IIU\0", EXPORT),
    ("an Olympus raw picture (ORF)", b"IIR[OS]|MMOR", EXPORT),
    ("a Sigma raw picture (X3F)", b"FOVb", EXPORT),
    ("a Minolta raw picture (MRW)", b"\0MRM", EXPORT),
    ("a Canon raw picture (CRW)", b"II\x1a\0\0\0HEAPCCDR", EXPORT),
    ("a font", b"OTTO|wOF[F2]|\0\1\0\0\0", NOT_A_PICTURE),
    ("a program", b"MZ|\x7fELF|#!|[\xcf\xce]\xfa\xed\xfe", NOT_A_PICTURE),
    ("an SQLite database", b"SQLite format 3", NOT_A_PICTURE),
    ("a property list of macOS", b"bplist0", NOT_A_PICTURE),
    ("an e-mail or a web server's answer", rb"(?:HTTP/1\.|Content-Type:|MIME-Version:|Received:|From )", NOT_A_PICTURE),
]  # fmt: skip

# The kinds of JPEG that libjpeg-turbo does not decode, by their frame headers (ITU-T T.81, table B.1).
JPEG_KINDS = {
    0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical lossless", 0xCB: "lossless arithmetic-coded",
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical lossless",
}  # fmt: skip


class Jpeg(NamedTuple):
    """What the frame header of a JPEG says (ITU-T T.81, B.2.2)."""

    marker: int  # 0xC0 to 0xCF; 0xF7: JPEG-LS
    offset: int  # of the precision, the first byte behind the header's length
    precision: int  # bits per sample
    height: int  # 0: the DNL segment behind the first scan has it
    width: int
    components: int

    def __str__(self) -> str:
        if self.marker == 0xF7:
            return "a JPEG-LS picture"
        kind = JPEG_KINDS.get(self.marker, "")
        if kind:
            return f"a {kind} JPEG with {self.precision} bits per sample"
        if self.precision != 8:
            return f"a JPEG with {self.precision} bits per sample"
        if self.components not in (1, 3, 4):
            return f"a JPEG with {self.components} colour components"
        if not self.height:
            return "a JPEG whose height is behind its pixels (DNL)"
        return "a JPEG"


def read_start(file: BinaryIO, count: int = START) -> bytes:
    """Return the first `count` bytes of `file`."""
    file.seek(0)
    return file.read(count)


def matches(pattern: bytes, start: bytes) -> bool:
    """Whether a file that begins with `start` begins as `pattern`, a regular expression, says."""
    return re.match(pattern, start, re.DOTALL) is not None


def format_of(start: bytes) -> str | None:
    """Return which of the READ formats a file with these first bytes has, damaged or not; None if it has none."""
    return next((name for name, pattern in READ.items() if matches(pattern, start)), None)


def switched_format(start: bytes) -> str | None:
    """Return which of the formats that the setting `read` switches on has such first bytes; None if none has."""
    return next((name for name, pattern in SWITCHED.items() if matches(pattern, start)), None)


def describe(file: BinaryIO) -> tuple[str, str]:
    """Return what `file` is, which is in no format that is read ("a PDF document"), and what to do about it."""
    start = read_start(file)
    for name, pattern, advice in OTHER:
        if matches(pattern, start):
            return name, advice
    if not start.strip(b"\0") and holds_only_zeros(file):
        return "a file of zeros only", COPY_AGAIN
    if is_text(start):
        return "text", NOT_A_PICTURE
    return "a file of unknown kind", "if it is a picture, export it as JPEG or PNG"


def holds_only_zeros(file: BinaryIO) -> bool:
    """Whether `file` holds nothing but zeros, as after a copy that was cut off on some file systems."""
    file.seek(0)
    while block := file.read(1 << 20):
        if block.strip(b"\0"):
            return False
    return True


def is_text(start: bytes) -> bool:
    """Whether these first bytes look like text, in UTF-8 (or ASCII) or with the mark of UTF-16."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        text = start[:START].decode()
    except UnicodeDecodeError as error:
        if error.end < len(start) - 3:  # else a character that the limit cut in two
            return False
        text = start[: error.start].decode()
    return bool(text) and all(character.isprintable() or character in "\t\n\f\r" for character in text)


def named_otherwise(path: object, extensions: tuple[str, ...]) -> str:
    """Return " named .jpg" if the file at `path` has another extension than these; else nothing."""
    extension = os.path.splitext(os.fsdecode(path))[1].lower() if isinstance(path, str | bytes) else ""
    return f" named {extension}" if extension and extension not in extensions and extension.isprintable() else ""


def jpeg_segments(start: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, offset, length) of each segment of a JPEG up to its first scan, without its length field."""
    at = 2
    while 0 <= (at := start.find(b"\xff", at)) < len(start) - 3:  # decoders skip what is between segments, too
        marker = start[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:  # filling, and markers without a segment
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(start[at + 2 : at + 4], "big")
        yield marker, at + 4, length - 2
        if marker == 0xDA:
            return
        at += 2 + max(length, 2)


def read_jpeg(file: BinaryIO) -> Jpeg | None:
    """Return what the frame header of the JPEG in `file` says; None if it is no JPEG, or has none."""
    start = read_start(file, MAX_JPEG_HEADERS)
    if not start.startswith(b"\xff\xd8"):
        return None
    for marker, offset, length in jpeg_segments(start):
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            header = start[offset : offset + 6]
            return Jpeg(marker, offset, *struct.unpack(">BHHB", header)) if len(header) == 6 <= length else None
    return None


def boxes(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, offset, length) of each box from where `file` is to `end`; ISO/IEC 15444-1, I.4."""
    at = file.tell()
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            return
        length, head = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(header[8:16], "big"), 16
        length = end - at if length == 0 else length
        if length < head:
            return
        yield header[4:8], at + head, min(length, end - at) - head
        at += length


def jpegxl_size(file: BinaryIO) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG XL picture when upright, from its header; None if it has none.

    ISO/IEC 18181-1, SizeHeader and ImageMetadata.
    """
    end = file.seek(0, 2)
    file.seek(0)
    start = file.read(32)
    if not start.startswith(b"\xff\x0a"):
        file.seek(0)
        found = [(kind, offset) for kind, offset, _ in boxes(file, end) if kind in (b"jxlc", b"jxlp")]
        if found:
            kind, offset = found[0]
            file.seek(offset + (4 if kind == b"jxlp" else 0))
            start = file.read(32)
    if len(start) < 16 or not start.startswith(b"\xff\x0a"):
        return None
    bits = int.from_bytes(start[2:], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def side(in_eights: int) -> int:
        return 8 * (take(5) + 1) if in_eights else take((9, 13, 18, 30)[take(2)]) + 1

    in_eights = take(1)
    height = side(in_eights)
    across, down = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[take(3)]
    width = height * across // down if across else side(in_eights)
    is_default, has_extra_fields = take(1), take(1)
    orientation = 1 + take(3) if has_extra_fields and not is_default else 1
    return oriented_size((width, height), orientation)
