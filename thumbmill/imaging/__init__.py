"""One picture: read, decode, crop, resize, encode.

Needs the standard library, Pillow and a library for resampling; what an extra brings is imported for a picture that
needs it. The recipe's digest (thumbmill/catalog/recipe.py) covers every file of this folder and nothing else: whatever
decides a pixel belongs here, and whatever does not belongs elsewhere.

    thumbnails.py    make_thumbnails(), the whole way of one picture
    reader.py        open a source safely, and notice when it changes
    isobmff.py       AVIF and HEIC: brands, cropping, colours
    animation.py     the frames of an animation, each as a whole
    patches.py       frames that cover a part, laid over one another
    gif.py           GIF: blocks and frames
    av1.py           colours that AV1 data state themselves
    apng.py          animated PNG: frames
    trailer.py       the end of a file, and what follows it
    tiff.py          the TIFFs that Pillow misreads
    uncommon.py      what Pillow does not open
    signatures.py    what other files are, by their first bytes
    bitfields.py     BMP files with unusual bit fields
    bitmap_rle.py    BMP files compressed as RLE
    archive.py       the TIFFs and JPEGs of archives, by the libraries of an extra
    samples.py       their numbers
    masters.py       JPEG 2000, Photoshop documents and JPEG XL, if the settings say so
    orientation.py   EXIF orientation
    geometry.py      how a size fits a picture
    png.py           PNG: broken chunks, and the transparent colour of every depth
    depth.py         stored numbers of fewer or more than 8 bits
    color.py         modes, profiles
    colorimetry.py   the profile that a file has or amounts to: chunks, markers and headers that Pillow passes over
    icc.py           profiles built from primaries and curves
    render.py        decode as little as possible, crop and resize
    resampling.py    scale down, fast
    linear.py        the same in linear light
    encode.py        the formats of thumbnails
"""
