"""How names, numbers and times are written for a person."""

BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def one_line(text: object) -> str:
    """Return `text` on a single line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def printable(text: str) -> str:
    """Return `text` with escapes for what cannot be printed or encoded (file names that are not UTF-8)."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def format_bytes(count: float) -> str:
    """Return a number of bytes in a suitable decimal unit: `2.1 MB`."""
    power = min(4, max(0, (len(str(round(count))) - 1) // 3))
    value = count / 1000**power
    return f"{value:,.{1 if power and value < 100 else 0}f} {BYTE_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """Return a duration in seconds in suitable units: `2 min 5 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{max(seconds, 1)} s"


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """Return a count with its noun: `1 picture`, `2,500 pictures`."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"
