"""Reads an uploaded photo, cuts it square and writes it again without metadata."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 40_000_000
LEAST_SIDE = 100
# Pixels of a side: twice what a list shows and what a page shows.
SMALL, LARGE = 104, 288
# A JPEG written to be seen early has about ten; each costs a pass over all its pixels.
_MOST_SCANS = 64

_OTHERS = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK", "a document or an archive"),
)
_IN_BOXES = {b"hei": "an HEIC picture", b"hev": "an HEIC picture", b"mif": "an HEIC picture"} | {
    b"avi": "an AVIF picture"
}
_WANTED = "Please choose a JPEG, PNG or WebP picture."
_DAMAGED = f"This picture is damaged or incomplete. {_WANTED}"

_PROGRAM = Path(__file__).with_name("photo_decoding.py")
_WITHIN_S = 20
# A decoded picture takes much memory, so a worker has one decoded at a time.
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Squares:
    """One picture in two sizes, WebP without metadata."""

    small: bytes
    large: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    # As Pillow calls it.
    format: str
    width: int
    height: int
    is_animated: bool = False


def square(content: bytes) -> Squares:
    """Raises ValueError, a sentence that says what is wrong with the file."""
    if not content:
        raise ValueError(f"There is no file. {_WANTED}")
    if len(content) > MOST_BYTES:
        raise ValueError("This file is larger than 5 MB. Please choose a smaller picture.")
    try:
        header = _header(content)
    except IndexError:
        raise ValueError(_DAMAGED) from None
    _check(header)
    with _turn:
        return _decoded(content, header.format)


def _check(header: _Header) -> None:
    if header.is_animated:
        raise ValueError("This picture moves. Please choose one that does not.")
    if not header.width or not header.height:
        raise ValueError(_DAMAGED)
    if header.width * header.height > MOST_PIXELS:
        raise ValueError(
            f"This picture has {header.width} × {header.height} pixels. Please choose one of"
            " 40 megapixels or fewer."
        )
    if min(header.width, header.height) < LEAST_SIDE:
        raise ValueError(
            f"This picture has {header.width} × {header.height} pixels. Please choose one of at"
            f" least {LEAST_SIDE} × {LEAST_SIDE}."
        )


def _header(content: bytes) -> _Header:
    """Read without a decoder, which may take memory for what a header claims.

    Raises ValueError, or IndexError where the file ends early.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_header(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_header(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp_header(content)
    raise ValueError(f"This is {_other_kind(content)}. {_WANTED}")


def _other_kind(content: bytes) -> str:
    for start, name in _OTHERS:
        if content.startswith(start):
            return name
    if content[4:8] == b"ftyp":
        return _IN_BOXES.get(content[8:11], "a video")
    if b"<svg" in content[:4096].lower():
        return "an SVG drawing"
    return "not a picture that we know"


def _jpeg_header(content: bytes) -> _Header:
    # Inside the compressed data these two bytes do not occur.
    if content.count(b"\xff\xda") > _MOST_SCANS:
        raise ValueError(_DAMAGED)
    at = 2
    while True:
        while content[at] == 0xFF:
            at += 1
        marker, length = content[at], _number(content, at + 1, 2)
        # SOF0 to SOF15, without tables (C4, CC) and a reserved one (C8).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _Header("JPEG", _number(content, at + 6, 2), _number(content, at + 4, 2))
        at += 1 + max(length, 2)
        if content[at] != 0xFF:
            raise ValueError(_DAMAGED)


def _png_header(content: bytes) -> _Header:
    size, at, is_animated = _number(content, 16, 4), 8, False
    while content[at + 4 : at + 8] not in (b"IDAT", b""):
        is_animated |= content[at + 4 : at + 8] == b"acTL"
        at += 12 + _number(content, at, 4)
    return _Header("PNG", size, _number(content, 20, 4), is_animated)


def _webp_header(content: bytes) -> _Header:
    match content[12:16]:
        case b"VP8X":
            width, height = (1 + _number(content, at, 3, "little") for at in (24, 27))
            return _Header("WEBP", width, height, bool(content[20] & 2))
        case b"VP8L":
            bits = _number(content, 21, 4, "little")
            return _Header("WEBP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        case b"VP8 ":
            width, height = (_number(content, at, 2, "little") & 0x3FFF for at in (26, 28))
            return _Header("WEBP", width, height)
        case _:
            raise ValueError(_DAMAGED)


def _number(content: bytes, at: int, size: int, order: Literal["little", "big"] = "big") -> int:
    if len(content) < at + size:
        raise IndexError
    return int.from_bytes(content[at : at + size], order)


def _decoded(content: bytes, kind: str) -> Squares:
    command = [sys.executable, "-I", str(_PROGRAM), kind]
    command += [str(each) for each in (SMALL, LARGE, MOST_PIXELS)]
    try:
        ran = subprocess.run(  # noqa: S603 - our own program and numbers
            command, input=content, capture_output=True, timeout=_WITHIN_S, env={}, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"This picture takes too long to read. {_WANTED}") from None
    if ran.returncode:
        raise ValueError(_DAMAGED)
    length = 4 + int.from_bytes(ran.stdout[:4], "big")
    return Squares(ran.stdout[4:length], ran.stdout[length:])
