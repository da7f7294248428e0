"""Random values, with a liking for the borders of each type. All of it is made of one random.Random: a seed tells the whole workload."""

import json
import struct

CORNERS = ["", " ", "'", '"', "\\", "\\\\n", "\n", "\r\n", "\t", "\x01", "\x1f", "\x7f", "\x80", "\x9f", "é", "ß", "€", "𝄞", "👩‍👩‍👧", "\u2028", "\u2029",
           "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "e\u0301", "\u202e", "NULL", "null", "{}", "[", "%s", "%", "</script>", "a,b", "0", "-0", "  x  ", "\u00a0"]


def integer(rng, bits, signed=True):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return rng.choice([low, high, low + 1, high - 1, 0, 1, max(low, -1), rng.randint(low, high), max(low, min(high, rng.randint(-300, 300)))])


def text(rng, most=40):
    """Any characters but NUL and halves of surrogate pairs, at most this many."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(CORNERS)[:most]
    if kind == 1:
        return "".join(rng.choices(CORNERS, k=rng.randint(1, 6)))[:most]
    if kind == 2:
        return "".join(rng.choices("abcXYZ 019_-", k=rng.randint(0, most)))
    letters = []
    for _ in range(rng.randint(0, most)):
        code = rng.choice([rng.randint(1, 0x7f), rng.randint(0x80, 0x7ff), rng.randint(0x800, 0xd7ff), rng.randint(0xe000, 0xffff), rng.randint(0x10000, 0x10ffff)])
        letters.append(chr(code))
    return "".join(letters)


def word(rng, most=12):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, most)))


def octets(rng, most=40):
    return rng.choice([b"", b"\0", b"\xff" * 3, rng.randbytes(rng.randint(0, most))])[:most]


def digits(rng, precision, scale, unsigned=False):
    """The text of a decimal(precision, scale)."""
    whole = precision - scale
    number = rng.choice([0, 1, 10 ** precision - 1, rng.randrange(10 ** precision), rng.randrange(10 ** rng.randint(0, precision)), 128 if precision > 2 else 1,
                         5 * 10 ** (precision - 1)])
    sign = "-" if number and not unsigned and rng.random() < 0.5 else ""
    body = str(number).rjust(scale + 1, "0")
    body = body[:-scale] + "." + body[-scale:] if scale > 0 else body
    assert len(body.split(".", maxsplit=1)[0]) <= max(whole, 1)
    return sign + body


def floating(rng, width):
    """The shortest text of a finite float of 4 or 8 bytes."""
    while True:
        kind = rng.randrange(4)
        if kind == 0:
            number = rng.choice([0.0, 1.0, -1.0, 0.1, -0.5, 1e15, 1e16, 123456789.0, 1e-5, 1e7, 16777216.0, 3.0])
        elif kind == 1:
            number = rng.uniform(-1e6, 1e6)
        elif width == 4:
            number = struct.unpack("<f", rng.randbytes(4))[0]
        else:
            number = struct.unpack("<d", rng.randbytes(8))[0]
        if width == 4:
            try:
                number = struct.unpack("<f", struct.pack("<f", number))[0]
            except OverflowError:
                continue
        if number == number and abs(number) != float("inf") and not 0 < abs(number) < (1e-37 if width == 4 else 1e-300):
            return repr(number)


def clock(rng, fraction=6):
    """hh:mm:ss with at most so many digits behind it."""
    whole = rng.choice(["00:00:00", "23:59:59", "12:00:00", f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"])
    part = rng.choice(["", "0" * (fraction - 1) + "1", "9" * fraction, "5", "".join(rng.choices("0123456789", k=fraction))])[:fraction]
    return f"{whole}.{part}" if part else whole


def day(rng, years, month_end=28):
    year = rng.choice([*years, rng.randint(*years)])
    return f"{year:04}-{rng.randint(1, 12):02}-{rng.choice([1, month_end, rng.randint(1, month_end)]):02}"


def document(rng, depth=3, letters=text, number=None):
    """The value of a JSON document; numbers come from number(rng)."""
    kind = rng.randrange(9 if depth > 0 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind in (1, 2):
        return (number or json_number)(rng)
    if kind < 6:
        return letters(rng).replace("\0", "")
    if kind == 6:
        return [document(rng, depth - 1, letters, number) for _ in range(rng.randrange(4))]
    return {letters(rng): document(rng, depth - 1, letters, number) for _ in range(rng.randrange(4))}


class Digits(float):
    """A number with the digits that it was written with."""

    def __new__(cls, written):
        made = super().__new__(cls, "0")
        made.written = written
        return made

    def __repr__(self):
        return self.written


def json_number(rng):
    return rng.choice([0, -1, 2 ** 31, 2 ** 53 + 1, -2 ** 63, 2 ** 63 - 1, rng.randint(-10 ** 6, 10 ** 6)])


def json_text(value, rng):
    """The document's text with white space of its own."""
    if isinstance(value, dict):
        inner = ",".join(f"{' ' * rng.randrange(2)}{json.dumps(k, ensure_ascii=rng.random() < 0.3)}:{' ' * rng.randrange(2)}{json_text(v, rng)}" for k, v in value.items())
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + (", " if rng.random() < 0.5 else ",").join(json_text(item, rng) for item in value) + "]"
    if isinstance(value, Digits):
        return value.written
    return json.dumps(value, ensure_ascii=rng.random() < 0.3)


def bits(rng, length):
    return rng.choice(["0" * length, "1" * length, "".join(rng.choices("01", k=length))])


def name(rng, planes=True):
    """A name of a table or column that no one would choose. (Debezium's stream loses tables with backticks; MySQL has only the first plane.)"""
    letters = ["a", "Z", "9", " ", "-", "$", '"', "é", "中", "'", "#", "%", "(", ";", "\\", "&", *(["𝄞"] if planes else [])]
    return "".join(rng.choices(letters, k=rng.randint(1, 10))).strip() + rng.choice("xX0é")
