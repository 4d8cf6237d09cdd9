"""Uploaded pictures: what is taken, what is refused by name, and what never reaches a decoder."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.services.therapists import photo_decoding, photo_file
from app.services.therapists.photo_file import LARGE, MOST_BYTES, SMALL, square
from tests.harness.every import for_every
from tests.harness.portraits import RED, drawn, file_of, halves, opened, portrait

FORMATS = ("JPEG", "PNG", "WEBP")


def squares(content: bytes, kind: str) -> list[bytes]:
    """As the decoding process makes them, in this one."""
    return photo_decoding.squares(content, kind, SMALL, LARGE, photo_file.MOST_PIXELS)


def is_like(colour: Any, other: Any) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(colour, other, strict=True))


def with_exif(**more: Any) -> Image.Exif:
    exif = Image.Exif()
    # The camera was held upright; where it was.
    exif[0x0112] = 6
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_becomes_two_squares_without_what_the_camera_noted(kind: str) -> None:
    made = square(file_of(drawn(900, 1200), kind, exif=with_exif()))
    for content, side in ((made.small, SMALL), (made.large, LARGE)):
        found = opened(content)
        assert (found.format, found.size, found.mode) == ("WEBP", (side, side), "RGB")
        assert not found.getexif()
        assert not {"exif", "icc_profile", "xmp"} & found.info.keys()
        assert b"camera" not in content
        assert len(content) < side * 80


@for_every([(kind, size) for kind in FORMATS for size in ((400, 200), (4000, 2000))])
def test_a_picture_is_turned_as_the_camera_was_held(kind: str, size: tuple[int, int]) -> None:
    large = opened(squares(file_of(halves(*size), kind, exif=with_exif()), kind)[1])
    # Left becomes up.
    assert is_like(large.getpixel((LARGE // 2, 10)), RED)
    assert not is_like(large.getpixel((LARGE // 2, LARGE - 10)), RED)


MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16")


@for_every([(kind, mode) for kind in FORMATS for mode in MODES])
def test_every_kind_of_pixels_is_read(kind: str, mode: str) -> None:
    picture = Image.new(mode, (640, 480))
    try:
        content = file_of(picture, kind)
    except OSError:
        # That format has no such pixels.
        return
    assert [opened(each).size[0] for each in squares(content, kind)] == [SMALL, LARGE]


def test_clear_parts_become_white() -> None:
    content = file_of(Image.new("RGBA", (300, 300), (0, 0, 0, 0)), "PNG")
    assert is_like(opened(squares(content, "PNG")[1]).getpixel((9, 9)), (255, 255, 255))


def test_what_is_hidden_behind_a_picture_does_not_stay() -> None:
    hidden = b"PK\x03\x04 <script>alert(1)</script>"
    made = square(portrait() + hidden)
    assert b"script" not in made.small + made.large
    commented = file_of(drawn(), "JPEG", comment=hidden)
    assert b"script" in commented
    made = square(commented)
    assert b"script" not in made.small + made.large


def png_claiming(width: int, height: int) -> bytes:
    content = portrait("PNG")
    return content[:16] + struct.pack(">II", width, height) + content[24:]


def webp_claiming(width: int, height: int, *, moves: bool = False) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    flags = bytes([2 if moves else 0, 0, 0, 0])
    return b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0" + flags + size + b"\0" * 40


def jpeg_claiming(width: int, height: int) -> bytes:
    content = portrait()
    at = content.index(b"\xff\xc0")
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]


def moving(kind: str) -> bytes:
    frames = [halves(), drawn(400, 200)]
    return file_of(frames[0], kind, save_all=True, append_images=frames[1:], duration=90)


REFUSED = {
    "empty": (b"", "There is no file."),
    "too large": (portrait() + b"\0" * MOST_BYTES, "larger than 5 MB"),
    "gif": (file_of(halves(), "GIF"), "a GIF picture"),
    "moving gif": (moving("GIF"), "a GIF picture"),
    "bmp": (file_of(halves(), "BMP"), "a BMP picture"),
    "tiff": (file_of(halves(), "TIFF"), "a TIFF picture"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "bare svg": (b"<svg onload='alert(1)'/>", "an SVG drawing"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC picture"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF picture"),
    "mp4": (b"\0\0\0\x1cftypisom\0\0\0\0", "a video"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "zip": (b"PK\x03\x04", "a document or an archive"),
    "gif with a jpeg in it": (b"GIF89a" + portrait(), "a GIF picture"),
    "html": (b"<!doctype html><p>x", "not a picture that we know"),
    "text": (b"JPEG", "not a picture that we know"),
    "moving png": (moving("PNG"), "This picture moves."),
    "moving webp": (moving("WEBP"), "This picture moves."),
    "webp that says it moves": (webp_claiming(300, 300, moves=True), "This picture moves."),
    "huge png": (png_claiming(50_000, 50_000), "50000 × 50000 pixels"),
    "huge webp": (webp_claiming(16_000, 16_000), "16000 × 16000 pixels"),
    "huge jpeg": (jpeg_claiming(65_000, 65_000), "65000 × 65000 pixels"),
    "one pixel too many": (png_claiming(1, 40_000_001), "40 megapixels or fewer"),
    "no height": (png_claiming(300, 0), "damaged or incomplete"),
    "tiny": (file_of(halves(99, 300), "PNG"), "at least 100 × 100"),
    "many scans": (portrait() + b"\xff\xda" * 99, "damaged or incomplete"),
    "jpeg without a frame": (b"\xff\xd8\xff\xe0\0\x10JFIF", "damaged or incomplete"),
    "png without an end": (portrait("PNG")[:20], "damaged or incomplete"),
    "webp of an unknown kind": (b"RIFF\0\0\0\0WEBPVP9 " + b"\0" * 40, "damaged or incomplete"),
}  # fmt: skip


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is decoded."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a decoder was started")

    monkeypatch.setattr(subprocess, "run", fail)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_taken_is_refused_by_name_before_decoding(
    name: str, no_decoder: None
) -> None:
    content, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        square(content)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_was_cut_off_is_refused(kind: str) -> None:
    content = portrait(kind)
    for length in (len(content) // 2, len(content) - 40):
        with pytest.raises(ValueError, match="damaged or incomplete"):
            square(content[:length])


def test_a_file_that_contradicts_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged or incomplete"):
        square(png_claiming(4000, 4000))
    with pytest.raises(ValueError, match="damaged or incomplete"):
        square(webp_claiming(300, 300))


def test_forty_megapixels_are_taken() -> None:
    assert opened(square(file_of(halves(8000, 5000), "JPEG")).large).size == (LARGE, LARGE)


def test_a_picture_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_file, "_WITHIN_S", 0.0)
    with pytest.raises(ValueError, match="takes too long"):
        square(portrait())


def test_the_process_that_decodes_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys; print('\\0\\0\\0\\0', sorted(os.environ), 'app' in sys.modules)"
    )
    monkeypatch.setattr(photo_file, "_PROGRAM", program)
    monkeypatch.setenv("SECRET_KEY", "very secret")
    told = square(portrait()).large.decode()
    assert "SECRET_KEY" not in told
    assert "False" in told


HEADS = [portrait(kind)[:400] for kind in FORMATS] + [webp_claiming(300, 300)]


@given(st.sampled_from(HEADS), st.integers(0, 399), st.binary(max_size=40), st.integers(0, 400))
def test_no_bytes_are_worse_than_refused(head: bytes, at: int, put: bytes, length: int) -> None:
    content = (head[:at] + put + head[at + len(put) :])[:length]
    try:
        header = photo_file._header(content)
        photo_file._check(header)
    except (ValueError, IndexError):
        return
    assert header.width * header.height <= photo_file.MOST_PIXELS
