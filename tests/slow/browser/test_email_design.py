"""Every email is legible in light and dark, and its links are large enough for a thumb."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from emails.samples import SAMPLES

MEASURE = """() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const parse = css => css.match(/[\\d.]+/g).map(Number)
  const luminance = ([r, g, b]) => 0.2126*channel(r) + 0.7152*channel(g) + 0.0722*channel(b)
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor)
      if (colour.length < 4 || colour[3] > 0) return colour
    }
    return [255, 255, 255]
  }
  const texts = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue
    const [a, b] = [parse(getComputedStyle(node).color), ground(node)].map(luminance)
    texts.push({text: walker.currentNode.data.trim(),
                contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)})
  }
  const links = [...document.querySelectorAll('a')].map(
    a => ({text: a.innerText, height: a.getBoundingClientRect().height}))
  return {texts, links, overflow: document.documentElement.scrollWidth - innerWidth,
          ground: getComputedStyle(document.body).backgroundColor}
}"""


@pytest.mark.parametrize("width", [320, 375, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_email_is_legible_and_easy_to_tap(browser: Browser, scheme: Any, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    grounds = set()
    for name, make in SAMPLES.items():
        page.set_content(make().html)
        seen = page.evaluate(MEASURE)
        grounds.add(seen["ground"])
        faint = [each for each in seen["texts"] if each["contrast"] < 4.5]
        small = [each for each in seen["links"] if each["height"] < 44]
        assert (name, faint, small, seen["overflow"]) == (name, [], [], 0)
        assert len(seen["texts"]) > 3
    context.close()
    assert grounds == {"rgb(245, 241, 234)" if scheme == "light" else "rgb(16, 22, 20)"}
