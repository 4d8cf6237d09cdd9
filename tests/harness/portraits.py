"""Pictures of nobody, drawn by code, as files that a person could upload."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

RED, BLUE = (200, 40, 40), (40, 60, 200)


def drawn(width: int = 400, height: int = 500) -> Image.Image:
    """A head and shoulders before a wall."""
    picture = Image.new("RGB", (width, height), (196, 208, 200))
    draw = ImageDraw.Draw(picture)
    side, middle = min(width, height), width // 2
    head, top = side // 5, height // 5
    draw.ellipse(
        (middle - 2 * head, top + 2 * head, middle + 2 * head, height + head), (62, 92, 84)
    )
    draw.ellipse((middle - head, top, middle + head, top + 2.6 * head), (214, 172, 140))
    draw.pieslice((middle - head, top - 6, middle + head, top + 2 * head), 180, 360, (70, 48, 38))
    return picture


def halves(width: int = 400, height: int = 200) -> Image.Image:
    """Red on its left half, blue on its right one."""
    picture = Image.new("RGB", (width, height), BLUE)
    picture.paste(RED, (0, 0, width // 2, height))
    return picture


def file_of(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def portrait(kind: str = "JPEG") -> bytes:
    return file_of(drawn(), kind)


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))
