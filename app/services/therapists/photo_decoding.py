"""A process of its own that decodes one picture: it holds no secret, and its memory ends with it.

Run as `python -I photo_decoding.py FORMAT SMALL LARGE MOST_PIXELS`. Reads the file from standard
input; writes the length of the small square in four bytes, the small square and the large one.
"""

import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# Decoding 40 megapixels of WebP takes 700 MB.
_MOST_MEMORY = 1024 * 1024 * 1024
_MOST_CPU_S = 15
_QUALITY = 80
# Of a tall picture the upper part stays: heads are there.
_CENTERING = (0.5, 0.35)
_REDUCIBLE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})


def squares(content: bytes, kind: str, small: int, large: int, most_pixels: int) -> list[bytes]:
    """The picture cut square with so many pixels a side, WebP without metadata.

    `kind` is Pillow's name of a format. Raises errors of many types.
    """
    from PIL import Image  # noqa: PLC0415

    with Image.open(BytesIO(content), formats=(kind,)) as picture:
        if picture.width * picture.height > most_pixels:
            raise ValueError("too many pixels")
        # A JPEG is decoded in a smaller scale at once.
        picture.draft(None, (2 * large, 2 * large))
        upright = _upright(picture, 2 * large)
    return [_written(upright, side) for side in (small, large)]


def _upright(picture: "Image.Image", enough: int) -> "Image.Image":
    """In RGB, turned as the camera was held, and with no more pixels than are needed."""
    from PIL import Image, ImageOps  # noqa: PLC0415

    picture.load()
    factor = min(picture.size) // enough
    small = picture.reduce(factor) if factor > 1 and picture.mode in _REDUCIBLE else picture
    # What says how the camera was held.
    small.info["exif"] = picture.info.get("exif", b"")
    upright = ImageOps.exif_transpose(small)
    # Clear parts become white; nothing else of the file is copied.
    paper = Image.new("RGB", upright.size, "white")
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        paper.paste(upright, mask=upright.getchannel("A"))
    else:
        paper.paste(upright.convert("RGB"))
    return paper


def _written(picture: "Image.Image", side: int) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415

    fitted = ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS, centering=_CENTERING)
    file = BytesIO()
    fitted.save(file, "WEBP", quality=_QUALITY, method=6)
    return file.getvalue()


def _limit() -> None:
    import resource  # noqa: PLC0415

    for limit, most in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_CPU, _MOST_CPU_S),
        (resource.RLIMIT_FSIZE, 0),
    ):
        # Not every system has each of them.
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def main(kind: str, *numbers: str) -> None:
    _limit()
    small, large = squares(sys.stdin.buffer.read(), kind, *map(int, numbers))
    sys.stdout.buffer.write(len(small).to_bytes(4, "big") + small + large)


if __name__ == "__main__":
    main(*sys.argv[1:])
