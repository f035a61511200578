"""Draw the sample catalogue: sixteen small pictures, each hard for a thumbnailer in its own way.

    python -m tools.draw_samples [FOLDER]        (FOLDER defaults to "images")

Every picture is built so that a person can SEE whether its thumbnail is right: one that lies on its side, shows
magenta, reads "NO PROFILE" or is plain white has gone wrong. The table SAMPLES at the end lists what each picture
tests. It needs only Pillow, and draws the same files byte for byte each time.
"""

import argparse
import math
import random
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, ImageDraw
from PIL.ImageChops import lighter, multiply, subtract

from tools.sketch import HIDDEN, SCALE, Drawn, Sketch, around, ridge, rounded, soft, star


def mug() -> Drawn:
    """Draw a steaming mug marked UP, stored lying, with a position that nobody should publish."""
    s = Sketch(480, 640, "#d8ebe4", "#86bdb4")
    s.paint(s.box(0, 1380, 1440, 1920), "#d39a63", "#8a5630")
    s.paint(soft(s.oval(800, 1560, 480, 90), 40, 0.6), "#2b1508")
    s.paint(s.oval(1010, 1110, 240, 250, ring=90), "#f0695a", "#a82a24", "#7d1a17")
    body = lighter(s.box(350, 780, 1010, 1480), s.oval(680, 1480, 330, 100))
    s.paint(body, "#a52a25", "#f37262", "#df4a3d", "#b8302a", "#7d1a17", flow="across")
    s.paint(s.oval(680, 780, 330, 96), "#fff4ea", "#f0c9b4")
    s.paint(s.oval(680, 788, 296, 76), "#2c130a", "#7a4522")
    arrow = ((680, 950), (830, 1110), (740, 1110), (740, 1240), (620, 1240), (620, 1110), (530, 1110))
    s.paint(s.shape(*arrow, radius=8), "#fff4ea")
    s.write((680, 1365), "UP", 190, "#fff4ea")
    s.paint(soft(s.line(34, (440, 930), (440, 1440)), 14, 0.55), "#ffffff")
    for x, top in ((560, 330), (690, 240), (810, 370)):
        s.steam(x, top, 760, 44, "#ffffff")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    # The Royal Observatory in Greenwich: a place anybody recognises, and nobody's home.
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (51.0, 28.0, 40.1), 3: "W", 4: (0.0, 0.0, 5.3)})
    return s.finish().transpose(Image.Transpose.ROTATE_90), {"quality": 86, "exif": exif}


def teapot() -> Drawn:
    """Draw a teapot whose shadow and steam fade out into nothing."""
    s, blue = Sketch(440, 340, mode="RGBA"), ("#8cc4ee", "#2f6ea5", "#123a63")
    s.paint(soft(s.oval(680, 890, 430, 56), 30, 0.55), "#101828")
    s.steam(150, 60, 290, 26, "#8fa6bd")
    s.steam(215, 20, 280, 26, "#8fa6bd")
    s.paint(s.oval(1010, 520, 210, 220, ring=70), *blue)
    spout = ((520, 760), (330, 660), (260, 430), (130, 330), (225, 290), (365, 380), (430, 520), (560, 560))
    s.paint(s.shape(*spout, radius=16), *blue)
    s.paint(s.box(500, 830, 860, 900, radius=30), "#2f6ea5", "#0d2c4c")
    s.paint(s.oval(680, 590, 340, 285), "#dff2ff", "#5ea3d8", "#14406d", flow="round")
    s.paint(s.mask("chord", (465, 245, 895, 495), start=180, end=360), "#bfe2fa", "#2f6ea5")
    s.paint(s.box(445, 360, 915, 392, radius=16), "#e8f6ff", "#7fb4de")
    s.paint(s.oval(680, 205, 56), "#ffe9a8", "#e0a526", "#8a5a0a", flow="round")
    for i in range(-3, 4):
        s.paint(s.shape(*star(680 + 70 * i, 710 - 9 * i * i, 38, 16, 5)), "#fff3c4", "#f2b632")
    s.paint(soft(s.oval(530, 470, 70, 36), 18, 0.8), "#ffffff")
    return s.finish(), {"optimize": True}


def oranges() -> Drawn:
    """Draw oranges in printer's ink, with a test square of each: cyan, magenta, yellow and black."""
    s, shade = Sketch(480, 340, (30, 0, 12, 0), (8, 0, 20, 0), mode="CMYK"), (60, 90, 120, 120)
    s.paint(s.box(0, 620, 1440, 1020), (10, 30, 60, 0), (25, 70, 120, 40))
    for x, y, r in ((400, 480, 270), (1090, 450, 210)):
        s.paint(soft(s.oval(x + 40, y + r * 0.86, r, r * 0.24), 26, 0.8), shade)
        s.paint(s.oval(x, y, r), (0, 50, 160, 0), (0, 125, 255, 0), (20, 200, 255, 60), flow="round")
        s.paint(s.shape(*star(x + 30, y - r * 0.72, 44, 18, 5)), (150, 40, 255, 60))
    leaf = ((425, 285), (520, 150), (700, 110), (830, 150), (720, 260), (560, 305))
    s.paint(s.shape(*leaf, radius=18), (110, 0, 230, 0), (200, 50, 255, 70), flow="across")
    s.paint(s.line(8, (430, 285), (600, 215), (800, 155)), (60, 0, 160, 0))
    s.paint(soft(s.oval(820, 875, 250, 56), 26, 0.8), shade)
    s.paint(s.oval(790, 650, 250), (0, 110, 255, 0), (10, 170, 255, 30))
    s.paint(s.oval(790, 650, 234), (0, 12, 50, 0))
    for i in range(10):
        fan = [around(790, 650, i / 10 + turn, r) for turn, r in ((0.05, 40), (0.007, 208), (0.093, 208))]
        s.paint(s.shape(*fan, radius=14), (0, 80, 235, 0), (0, 125, 255, 0))
    for i in range(4):
        s.paint(s.box(60 + 84 * i, 900, 124 + 84 * i, 964), tuple(255 * (k == i) for k in range(4)))
    return s.finish(), {"quality": 85}


def tiles() -> Drawn:
    """Draw four painted wall tiles."""
    s = Sketch(240, 240, "#d9d2c3")
    for x, y in ((180, 180), (540, 180), (180, 540), (540, 540)):
        glaze = s.box(x - 172, y - 172, x + 172, y + 172, radius=10)
        s.paint(glaze, "#ffffff", "#e6eef5")
        for r, colour in ((128, "#1f4fa3"), (100, "#f4f8fb"), (52, "#f0b42c")):
            for cx, cy in ((x - 180, y - 180), (x + 180, y - 180), (x - 180, y + 180), (x + 180, y + 180)):
                s.paint(multiply(s.oval(cx, cy, r), glaze), colour)
        s.paint(s.shape(*star(x, y, 150, 52, 8)), "#2256ac")
        s.paint(s.shape(*star(x, y, 92, 34, 8)), "#ffffff")
        s.paint(s.oval(x, y, 30), "#f0b42c")
    return s.finish().quantize(128, dither=Image.Dither.NONE), {}


def clock() -> Drawn:
    """Draw a ticking clock; the window of its first frame says 1."""
    frames = []
    for tick in range(6):
        s = Sketch(220, 220, "#e9c3b1")
        s.paint(soft(s.oval(345, 365, 265), 22, 0.5), "#3a1a10")
        s.paint(s.oval(330, 330, 270), "#a8743f", "#6b4220")
        s.paint(s.oval(330, 330, 236), "#fffaf0")
        for i in range(60):
            inner, width = (210, 4) if i % 5 else (186, 12)
            s.paint(s.line(width, around(330, 330, i / 60, inner), around(330, 330, i / 60, 222)), "#3b3026")
        s.paint(s.box(278, 400, 382, 488, radius=12), "#2f5878")
        s.write((330, 443), str(tick + 1), 76, "#ffffff")
        hands = ((61 / 72, 120, 24, "#2a2119"), (1 / 6, 178, 16, "#2a2119"), (tick / 6, 196, 7, "#c8322b"))
        for turn, reach, width, colour in hands:
            s.paint(s.line(width, around(330, 330, turn, -34), around(330, 330, turn, reach)), colour)
        s.paint(s.oval(330, 330, 18), "#c8322b")
        frames.append(s.finish())
    palette = frames[0].quantize(200)
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    return first, {"save_all": True, "append_images": rest, "duration": 600, "loop": 0}


def lamp() -> Drawn:
    """Draw a lamp in a dark room, whose glow must stay smooth."""
    s = Sketch(400, 520, "#1d2440", "#2d2038")
    s.paint(soft(s.oval(600, 640, 520, 560), 150, 0.45), "#e88a3a")
    s.paint(soft(s.oval(600, 640, 300, 320), 110, 0.6), "#ffd98a")
    s.paint(s.box(0, 1290, 1200, 1560), "#6b4029", "#2a1712")
    s.paint(soft(s.oval(600, 1330, 420, 60), 50, 0.55), "#ffc776")
    s.paint(soft(s.oval(600, 1390, 200, 26), 14, 0.7), "#120a0a")
    brass = ("#6d4a18", "#f3d58a", "#7a521a", "#3d270a")
    s.paint(s.box(582, 740, 618, 1370), *brass, flow="across")
    s.paint(s.shape((400, 1390), (560, 1320), (640, 1320), (800, 1390), radius=10), *brass, flow="across")
    shade = s.shape((430, 330), (770, 330), (930, 770), (270, 770), radius=12)
    s.paint(shade, "#d9782f", "#ffb65c", "#ffe9b8")
    s.paint(multiply(shade, soft(s.oval(600, 660, 180), 70)), "#fff6dc")
    for i in range(9):
        pleat = s.line(8, (430 + 340 * i / 8, 336), (270 + 660 * i / 8, 764))
        s.paint(multiply(shade, soft(pleat, 3, 0.4)), "#b3541e")
    s.paint(s.line(6, (690, 772), (690, 930)), "#e3c27a")
    s.paint(s.oval(690, 942, 15), "#fff0c0", "#c08a2a", flow="round")
    return s.finish(), {"quality": 62, "max_threads": 1}


def chair() -> Drawn:
    """Draw a chair cut out of its background."""
    s, wood = Sketch(360, 480, mode="RGBA"), ("#5b3417", "#c98a4b", "#8a5528", "#4a2911")
    s.paint(soft(s.oval(560, 1290, 400, 60), 34, 0.5), "#141021")
    s.paint(lighter(s.line(34, (380, 820), (300, 1180)), s.line(34, (720, 820), (800, 1180))), "#4a2911")
    for x, foot in ((300, 210), (800, 890)):
        s.paint(s.line(50, (x, 880), (foot, 1320)), *wood, flow="across")
    s.paint(s.box(500, 600, 600, 860), *wood, flow="across")
    back = s.shape((250, 130), (850, 130), (800, 640), (300, 640), radius=46)
    s.paint(back, "#7fe0cf", "#1f9e93", "#0d5a5c", flow="round")
    for x, y in ((430, 300), (550, 300), (670, 300), (490, 440), (610, 440)):
        s.paint(soft(s.oval(x, y, 26), 10, 0.5), "#06383b")
        s.paint(s.oval(x, y, 13), "#baf3e8", "#14777a", flow="round")
    s.paint(soft(s.oval(550, 930, 350, 40), 18, 0.5), "#141021")
    seat = s.shape((290, 770), (810, 770), (910, 930), (190, 930), radius=40)
    s.paint(seat, "#5fcfc0", "#1f9e93", "#0d5a5c")
    s.paint(soft(s.oval(500, 815, 200, 22), 22, 0.5), "#ffffff")
    return s.finish(), {"quality": 80, "alpha_quality": 90, "method": 6}


def pawn() -> Drawn:
    """Draw a black pawn in grey and alpha; on a black ground it would vanish."""
    s, grey = Sketch(260, 380, mode="RGBA"), ("#111111", "#8f8f8f", "#3a3a3a", "#181818", "#050505")
    s.paint(soft(s.oval(430, 1030, 290, 56), 26, 0.6), "#000000")
    body = s.shape((330, 400), (450, 400), (500, 700), (590, 940), (190, 940), (280, 700), radius=20)
    foot = s.box(140, 930, 640, 1040, radius=44)
    for part in (body, foot, s.box(160, 900, 620, 944, radius=22), s.oval(390, 420, 170, 40)):
        s.paint(part, *grey, flow="across")
    s.paint(s.oval(390, 240, 165), "#e8e8e8", "#565656", "#050505", flow="round")
    return s.finish().convert("LA"), {"optimize": True}


def sale() -> Drawn:
    """Draw a cut-out sticker in a palette, one entry of which is transparent."""
    s = Sketch(300, 300, "#e8352e")
    sticker = s.shape(*star(450, 450, 440, 376, 18), radius=6)
    s.paint(sticker, "#ff6a4d", "#e8352e", "#a5141c", flow="round")
    s.paint(s.oval(450, 450, 335), "#fff3d6", "#ffd98c")
    s.paint(s.oval(450, 450, 318), "#f04a3a", "#c21f25")
    s.write((450, 400), "SALE", 220, "#ffffff", "#ffe9b0")
    for x, y, size in ((300, 590, 44), (450, 620, 60), (600, 590, 44)):
        s.paint(s.shape(*star(x, y, size, size * 0.4, 5)), "#ffe08a")
    flat = s.finish().quantize(63, dither=Image.Dither.NONE)
    flat.putpalette([*(flat.getpalette() or [])[: 63 * 3], *HIDDEN])
    flat.paste(63, mask=sticker.reduce(SCALE).point([255 * (v < 128) for v in range(256)]))
    return flat, {"transparency": 63, "optimize": True}


def chart() -> Drawn:
    """Draw a wheel of colours around a ladder of greys."""
    s = Sketch(420, 420, "#ffffff")
    for outer, light in ((600, 32), (490, 46), (380, 60), (270, 76)):
        for i in range(24):
            where = (630 - outer, 630 - outer, 630 + outer, 630 + outer)
            wedge = s.mask("pieslice", where, start=15 * i + 0.5, end=15 * i + 14.5)
            s.paint(wedge, f"hsl({15 * i}, 84%, {light}%)")
        s.paint(s.oval(630, 630, outer - 102), "#ffffff")
    for i in range(6):
        s.paint(s.box(500 + 44 * i, 590, 538 + 44 * i, 670), f"hsl(0, 0%, {18 * i}%)")
    return s.finish(), {"compression": "tiff_lzw"}


def bicycle() -> Drawn:
    """Draw a bicycle in black and white only: its fine spokes need greys at a smaller size."""
    picture = Image.new("1", (900, 600), 1)
    pen = ImageDraw.Draw(picture)
    rear, crank, seat, head, front = (235, 400), (425, 410), (360, 215), (600, 210), (665, 400)
    for x, y in (rear, front):
        for i in range(18):
            pen.line([around(x, y, i / 18 + 0.2, 12), around(x, y, i / 18, 130)])
        for r, width in ((140, 7), (128, 2), (14, 3)):
            pen.circle((x, y), r, outline=0, width=width)
    tubes = [(rear, crank, seat, rear), (crank, head), ((368, 240), head), ((585, 165), front)]
    parts = [(seat, (346, 170)), ((585, 168), (570, 130), (615, 112), (650, 120)), (crank, (470, 462))]
    parts += [((448, 464), (494, 460))]
    chain = [((235, 386), (422, 370)), ((235, 414), (422, 450)), ((40, 541), (860, 541))]
    grass = [((x, 548), (x - 14, 562)) for x in range(60, 850, 26)]
    for strokes, width in ((tubes, 9), (parts, 8), (chain, 2), (grass, 1)):
        for stroke in strokes:
            pen.line(stroke, width=width, joint="curve")
    pen.polygon([(290, 156), (395, 150), (402, 166), (345, 180), (296, 178)], fill=0)
    pen.circle(crank, 40, outline=0, width=4)
    pen.rectangle((620, 215, 740, 285), outline=0, width=4, fill=1)
    for i in range(8):
        pen.line([(627 + 15 * i, 217), (627 + 15 * i, 283)])
        pen.line([(622, 222 + 8 * i), (738, 222 + 8 * i)])
    for x, y, r in ((648, 190, 20), (682, 174, 24), (718, 190, 19)):
        pen.polygon(star(x, y, r + 6, r - 6, 8), fill=1, outline=0)
        pen.circle((x, y), 7, fill=0)
    return picture, {"compression": "group4"}


def wide_gamut_profile() -> bytes:
    """Return an ICC profile (version 2, matrix and curves) with the primaries of ROMM RGB and gamma 1.8."""
    # ROMM's white is D50, the white of every ICC profile, so its primaries need no adaptation.
    colours = {b"wtpt": (0.9642, 1.0, 0.8249), b"rXYZ": (0.7977, 0.2880, 0), b"gXYZ": (0.1352, 0.7119, 0)}
    colours[b"bXYZ"] = (0.0313, 0.0001, 0.8249)
    fixed = {tag: struct.pack(">3i", *(round(v * 65536) for v in xyz)) for tag, xyz in colours.items()}
    name = b"Thumbmill sample wide gamut\0"
    tags = {
        b"desc": b"desc" + struct.pack(">4xI", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"Public domain\0",
        **{tag: b"XYZ " + bytes(4) + data for tag, data in fixed.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv" + struct.pack(">4xIH", 1, round(1.8 * 256))),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    facts = (start + len(body), 0x02100000, b"mntr", b"RGB ", b"XYZ ", 2026, 1, 1, 0, 0, 0, b"acsp")
    header = struct.pack(">I4xI4s4s4s6H4s28x", *facts) + fixed[b"wtpt"]
    return header.ljust(128, b"\0") + table + body


def sunrise() -> Drawn:
    """Draw a poster in a wide gamut: without its profile the colours fade, and the sun shows NO PROFILE.

    The sun is painted in two reds so far outside sRGB that both become the same sRGB red. Only a program that takes
    the values for sRGB shows the words in it.
    """
    s = Sketch(400, 560, "#0a5f86")
    # Flat colours, as gradients would show steps: eight bits are few for so wide a gamut.
    for r, colour in (
        (1000, "#0c7d96"),
        (840, "#1fa39b"),
        (690, "#67bf8a"),
        (560, "#c9d46b"),
        (450, "#ffd24a"),
    ):
        s.paint(s.oval(600, 760, r), colour)
    for i in range(24):
        ray = s.shape((600, 760), around(600, 760, i / 24, 1500), around(600, 760, (i + 0.45) / 24, 1500))
        s.paint(ray.point([v // 5 for v in range(256)]), "#fff2a0")
    s.paint(s.oval(600, 760, 350), "#fff0b8")
    sun, rng = s.oval(600, 760, 330), random.Random(5)
    for i, colour in enumerate(("#d8327f", "#8f1f8e", "#0a6590", "#04424f")):
        hill = s.shape(*ridge(rng, s.picture.size, 1010 + 136 * i, 90 - 15 * i))
        s.paint(hill, colour)
        sun = subtract(sun, hill)
    s.write((600, 1570), "SUNRISE", 150, "#ffd24a")
    profile = wide_gamut_profile()
    wide = ImageCms.ImageCmsProfile(BytesIO(profile))
    ImageCms.profileToProfile(s.picture, ImageCms.createProfile("sRGB"), wide, inPlace=True)
    s.paint(sun, (255, 84, 8))
    s.write((600, 640), "NO", 190, (190, 52, 0))
    s.write((600, 810), "PROFILE", 132, (190, 52, 0))
    return s.finish(), {"quality": 90, "subsampling": 0, "icc_profile": profile}


def balloon() -> Drawn:
    """Draw a balloon with a banner, stored mirrored and turned."""
    s = Sketch(420, 560, "#2f7fd0", "#8cc8f0", "#e8f6fb")
    for x, y, r in ((250, 300, 70), (1000, 520, 60), (180, 1080, 80), (1080, 1200, 70)):
        cloud = lighter(s.oval(x - 80, y, r * 0.7), s.oval(x + 80, y - 8, r * 0.8))
        s.paint(soft(lighter(cloud, s.oval(x, y - 25, r)), 16, 0.9), "#ffffff", "#dcecf6")
    s.paint(s.shape(*ridge(random.Random(11), s.picture.size, 1540, 60)), "#6fae5a", "#2f6f3e")
    s.paint(lighter(s.line(6, (530, 900), (590, 1180)), s.line(6, (730, 900), (670, 1180))), "#5b3a1e")
    skirt = s.shape((310, 700), (950, 700), (740, 1010), (520, 1010))
    hull = rounded(lighter(s.oval(630, 520, 380, 400), skirt), 30)
    for i in range(7, 0, -1):
        gore = multiply(hull, s.oval(630, 560, 58 * i, 640))
        s.paint(gore, *(("#ffd34d", "#f0a01e") if i % 2 else ("#f4564a", "#b81f3a")))
    s.paint(multiply(hull, soft(s.oval(820, 640, 240, 480), 110, 0.45)), "#5a0f2c")
    s.paint(multiply(hull, soft(s.oval(480, 340, 110, 150), 60, 0.6)), "#ffffff")
    s.paint(multiply(hull, s.box(0, 520, 1260, 700)), "#ffffff", "#dfe6ee")
    s.write((630, 608), "THIS WAY UP", 104, "#22406b")
    s.paint(s.box(560, 1170, 700, 1290, radius=18), "#6d4420", "#c08a4c", "#6d4420", flow="across")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 5
    return s.finish().transpose(Image.Transpose.TRANSPOSE), {"quality": 86, "exif": exif}


def panorama() -> Drawn:
    """Draw mountains behind mountains, six times as wide as high."""
    s, rng = Sketch(1200, 200, "#5d7fb8", "#f0b9a6", "#ffe3b8"), random.Random(3)
    s.paint(soft(s.oval(2450, 250, 190), 80, 0.8), "#fff1c8")
    s.paint(s.oval(2450, 250, 62), "#fffbe8")
    haze = ("#a79cc0", "#7f7fae", "#4f5d8c", "#2c4166", "#12263d")
    for i, foot in enumerate(("#e3bdb5", "#c5a5b0", "#8a86a6", "#4d5f80", "#1d3a4a")):
        s.paint(s.shape(*ridge(rng, s.picture.size, 290 + 67 * i, 70 - 13 * i)), haze[i], foot)
    for _ in range(90):
        x, y, h = rng.uniform(0, 3600), rng.uniform(560, 600), rng.uniform(40, 95)
        s.paint(s.shape((x, y - h), (x + h * 0.22, y), (x - h * 0.22, y)), "#0b1a2b")
    return s.finish(), {"quality": 82, "progressive": True}


def moon() -> Drawn:
    """Draw a moon in 16-bit grey: cut off at 255, as convert("L") does, it becomes plain white."""
    s, rng, levels = Sketch(86, 86, 235, mode="L"), random.Random(8), []
    for _ in range(14):
        x, y, r = rng.uniform(60, 196), rng.uniform(50, 180), rng.uniform(8, 26)
        s.paint(soft(s.oval(x, y, r * 1.3, r), 6, 0.5), 150)
    for _ in range(26):
        x, y, r = rng.uniform(40, 216), rng.uniform(40, 216), rng.uniform(2, 8)
        s.paint(soft(s.oval(x, y, r), 1, 0.5), 255)
        s.paint(soft(s.oval(x + r * 0.2, y + r * 0.2, r * 0.8), 1, 0.7), 160)
    # Pillow cannot draw in this mode, so the eight bits above are only the ground that the light falls on.
    for i, albedo in enumerate(s.picture.tobytes()):
        x, y = (i % 258 - 128.5) / 100, (i // 258 - 128.5) / 100
        far = math.hypot(x, y)
        light = max(0, -0.62 * x - 0.28 * y + 0.73 * math.sqrt(max(0, 1 - far * far))) ** 0.8
        cover = min(1, max(0, (1 - far) * 100))
        level = cover * (1500 + 63000 * light * albedo / 255) + (1 - cover) * 12000 * math.exp(1.7 - 1.7 * far)
        # Steps of 16 are far finer than eight bits can show, and halve the file.
        levels.append(min(65535, int(level)) // 16 * 16)
    return Image.frombytes("I;16", (258, 258), struct.pack(f"<{len(levels)}H", *levels)), {"optimize": True}


def windmill() -> Drawn:
    """Draw a windmill of 24 pixels: smaller than any thumbnail, and not to be enlarged."""
    s = Sketch(24, 24, "#bfe4f7")
    s.paint(s.box(0, 60, 72, 72), "#7cb860", "#4f8f45")
    s.paint(s.shape((27, 27), (45, 27), (51, 66), (21, 66)), "#fff4e0", "#c9a27a", flow="across")
    s.paint(s.mask("pieslice", (25, 17, 47, 38), start=180, end=360), "#b8382e")
    s.paint(lighter(s.line(6, (14, 8), (58, 46)), s.line(6, (55, 5), (17, 49))), "#5b3417")
    return s.finish(), {"optimize": True}


# The names are part of the test: characters with a meaning to a shell (spaces, a leading dash, &), to Snakemake
# ({}) or in a web address (#, %), several dots, a capital extension, an umlaut and an emoji.
# Each line: the path, what it shows, and the function that draws it.
SAMPLES: tuple[tuple[str, str, Callable[[], Drawn]], ...] = (
    ("-sale.png", "palette with a transparent entry", sale),
    ("kitchen/mug.jpg", "EXIF orientation 6, and a GPS position to be dropped", mug),
    ("kitchen/Teekanne für zwei.png", "soft transparency (RGBA)", teapot),
    ("kitchen/oranges.v2.final.jpg", "CMYK", oranges),
    ("kitchen/tiles.bmp", "BMP with a palette", tiles),
    ("living room/clock.gif", "animation; the first frame says 1", clock),
    ("living room/lamp.avif", "AVIF", lamp),
    ("living room/chair #3 (50% off).webp", "lossy WebP with transparency", chair),
    ("living room/chess & co/pawn.png", "grey with transparency (LA)", pawn),
    ("posters/bicycle.tif", "fine lines in black and white (TIFF, group 4)", bicycle),
    ("posters/2026/{colour} chart.tiff", "LZW-compressed TIFF", chart),
    ("posters/2026/sunrise.jpg", "wide gamut, with an ICC profile", sunrise),
    ("outdoor/balloon 🎈.jpg", "EXIF orientation 5 (mirrored)", balloon),
    ("outdoor/PANORAMA.JPG", "six times as wide as high; progressive", panorama),
    ("outdoor/moon.png", "16-bit grey", moon),
    ("outdoor/windmill.png", "24 x 24 pixels, not to be enlarged", windmill),
)


def draw_all(folder: Path) -> int:
    """Draw every sample into a folder and return the number of bytes written."""
    total = 0
    for path, _, draw in SAMPLES:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        picture, options = draw()
        picture.save(target, **options)
        total += target.stat().st_size
    return total


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and draw the catalogue."""
    parser = argparse.ArgumentParser(prog="python -m tools.draw_samples", description="Draw the sample catalogue.")
    parser.add_argument("folder", nargs="?", default="images", type=Path, help="where to draw (default: images)")
    folder = parser.parse_args(arguments).folder
    print(f"{len(SAMPLES)} pictures, {draw_all(folder) // 1000} kB, drawn into {folder}")


if __name__ == "__main__":
    main()
