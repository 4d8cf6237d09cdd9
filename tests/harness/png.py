"""Small pictures: a screenshot with its commonest colours, as a palette PNG."""

import base64
import struct
import zlib

from playwright.sync_api import Page

_TO_PALETTE = """async ([data, most]) => {
  const image = new Image()
  image.src = 'data:image/png;base64,' + data
  await image.decode()
  const canvas = new OffscreenCanvas(image.width, image.height)
  const paint = canvas.getContext('2d')
  paint.drawImage(image, 0, 0)
  const bytes = paint.getImageData(0, 0, image.width, image.height).data
  const keyOf = i => (bytes[i] & 0xfc) << 16 | (bytes[i + 1] & 0xfc) << 8 | (bytes[i + 2] & 0xfc)
  const seen = new Map()
  for (let i = 0; i < bytes.length; i += 4) {
    const one = seen.get(keyOf(i)) ?? { count: 0, colour: [bytes[i], bytes[i + 1], bytes[i + 2]] }
    one.count += 1
    seen.set(keyOf(i), one)
  }
  const palette = [...seen.values()].sort((a, b) => b.count - a.count).slice(0, most)
    .map(one => one.colour)
  const apart = (a, b) => a.reduce((sum, each, at) => sum + (each - b[at]) ** 2, 0)
  const index = new Map()
  for (const [key, { colour }] of seen)
    index.set(key, palette.reduce((best, each, at) =>
      apart(each, colour) < apart(palette[best], colour) ? at : best, 0))
  let rows = ''
  for (let i = 0; i < bytes.length; i += 4) rows += String.fromCharCode(index.get(keyOf(i)))
  return { width: image.width, height: image.height, palette, rows: btoa(rows) }
}"""


def small(png: bytes, page: Page, colours: int = 255) -> bytes:
    """The picture in at most so many colours; `page` is a blank page whose canvas does the work."""
    found = page.evaluate(_TO_PALETTE, [base64.b64encode(png).decode(), colours])
    width, height = found["width"], found["height"]
    pixels = base64.b64decode(found["rows"])
    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    palette = bytes(channel for colour in found["palette"] for channel in colour)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
