"""What each scale of the JPEG decoder costs in likeness."""

from statistics import mean

from PIL import Image

from bench.quality.makers import LANCZOS, on_white, reference_pixels
from thumbmill.imaging.geometry import MIN_OVERSAMPLING


def print_scales(paths: list[str]) -> None:
    """Print what each scale of the JPEG decoder costs, by the pixels that it leaves for each pixel of the thumbnail."""
    from skimage.metrics import structural_similarity

    print("| decoded at | pixels left | SSIM mean | least |\n|---|---:|---:|---:|")
    for divisor in MIN_OVERSAMPLING:
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
                best = reference_pixels(path, size, convert_first=False)
                found.append(structural_similarity(on_white(best), on_white(made), channel_axis=2, data_range=255))
            if found:
                print(f"| 1/{divisor} | {left} | {mean(found):.4f} | {min(found):.4f} |", flush=True)
