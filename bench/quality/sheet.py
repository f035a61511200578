"""A contact sheet: the same thumbnails by different makers side by side, for people to look at."""

from collections.abc import Mapping

from PIL import Image, ImageDraw

from bench.quality.makers import libvips_pixels, on_white, reference_pixels, thumbmill_pixels


def draw_sheet(paths: Mapping[str, str], target: str, box: int = 200) -> None:
    """Draw each source's thumbnail by the reference, thumbmill and libvips, side by side, and the difference.

    Differences are eight times as strong, around grey. Transparency shows as pink. Save the sheet as `target`.
    """
    columns = ["full decode, Lanczos", "thumbmill", "libvips", "difference x 8"]
    sheet = Image.new("RGB", (180 + len(columns) * (box + 8), 20 + len(paths) * (box + 8)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(columns):
        draw.text((180 + column * (box + 8), 4), title, fill="black")
    for row, (name, path) in enumerate(paths.items()):
        top = 20 + row * (box + 8)
        draw.text((4, top + 4), name[:28], fill="black")
        ours = thumbmill_pixels(path, box)
        best = reference_pixels(path, ours.size)
        shown = [each.convert("RGBA") for each in (best, ours, libvips_pixels(path, ours.size))]
        for column, image in enumerate(shown):
            canvas = Image.new("RGB", image.size, (255, 180, 200))
            canvas.paste(image, mask=image.getchannel("A"))
            sheet.paste(canvas, (180 + column * (box + 8), top))
        difference = on_white(ours).astype(int) - on_white(best)
        difference = Image.fromarray((128 + 8 * difference).clip(0, 255).astype("uint8"))
        sheet.paste(difference, (180 + 3 * (box + 8), top))
    sheet.save(target)
