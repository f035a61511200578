"""The colours that an AV1 picture itself states, where its container states none: AV1 specification, 5.3 and 5.5."""

from collections.abc import Iterator

SEQUENCE_HEADER = 1  # the type of the OBU that is read

Colours = tuple[int, int, int, bool]  # primaries, transfer function and matrix by H.273, and whether the range is full


class Bits:
    """A reader of bits, the highest of each byte first."""

    def __init__(self, data: bytes):
        self.bits = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def __call__(self, count: int = 1) -> int:
        """Return the number in the next `count` bits. Raises ValueError if there are fewer."""
        if count > self.left:
            raise ValueError("an AV1 header that is cut")
        self.left -= count
        return self.bits >> self.left & (1 << count) - 1


def read_colours(data: bytes) -> Colours | None:
    """Return the colours that an AV1 picture states, from the start of its `data`; None if it states none.

    Raises ValueError if its sequence header is cut.
    """
    for kind, payload in units(data):
        if kind == SEQUENCE_HEADER:
            return sequence_colours(Bits(payload))
    return None


def units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of each OBU; of one that is cut what there is of it."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1  # an extension follows
        length, shift = 0, 0
        if header & 2:  # its length follows: leb128, of eight bytes at most
            while at < len(data) and shift < 56:
                byte = data[at]
                at += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
        else:
            length = len(data) - at
        yield header >> 3 & 15, data[at : at + length]
        at += length


def sequence_colours(bits: Bits) -> Colours | None:
    """Return the colours of a sequence header OBU, None if it states none. Raises ValueError if it is cut."""
    profile = bits(3)
    bits()  # still_picture
    reduced = bits()
    if reduced:
        bits(5)
    else:
        skip_operating_points(bits)
    width, height = bits(4) + 1, bits(4) + 1
    bits(width + height)
    if not reduced and bits():  # frame_id_numbers_present_flag
        bits(7)
    bits(3)
    if not reduced:
        skip_tools(bits)
    bits(3)
    deep = bits()
    if profile == 2 and deep:
        bits()
    if profile != 1:
        bits()  # mono_chrome
    if not bits():  # color_description_present_flag
        return None
    primaries, transfer, matrix = bits(8), bits(8), bits(8)
    return primaries, transfer, matrix, (primaries, transfer, matrix) == (1, 13, 0) or bool(bits())


def skip_operating_points(bits: Bits) -> None:
    """Skip what a sequence header says of timing and decoders. Raises ValueError."""
    delay_length = 0
    if bits():  # timing_info_present_flag
        bits(64)
        if bits():  # equal_picture_interval: a number as uvlc()
            zeros = 0
            while not bits():
                zeros += 1
            bits(zeros if zeros < 32 else 0)
        if bits():  # decoder_model_info_present_flag
            delay_length = bits(5) + 1
            bits(42)
    display_delay = bits()
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits()
        if delay_length and bits():
            bits(2 * delay_length + 1)
        if display_delay and bits():
            bits(4)


def skip_tools(bits: Bits) -> None:
    """Skip what a sequence header says of the tools of its frames. Raises ValueError."""
    bits(4)
    order_hint = bits()
    if order_hint:
        bits(2)
    screen_content = 2 if bits() else bits()
    if screen_content and not bits():
        bits()
    if order_hint:
        bits(3)
