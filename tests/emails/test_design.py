"""Every email can be read: sound CSS only, contrast in light and dark, targets a thumb can hit."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from emails.samples import SAMPLES

CHROMIUM = Path("/usr/bin/chromium")

# After the support tables of Can I email (caniemail.com): drawn, in the way we use it, by Gmail,
# Outlook (Word's engine too) and Apple Mail. Padding only on table cells and links.
SOUND = {"background", "background-color", "border", "border-bottom", "border-collapse"}
SOUND |= {"border-color", "color", "direction", "font-family", "font-size", "font-weight"}
SOUND |= {"height", "line-height", "margin", "padding", "table-layout", "text-align"}
SOUND |= {"text-decoration", "text-transform", "vertical-align", "width", "word-spacing"}
# The others, each with what a reader gets where it is not understood.
FALLBACKS = {
    "border-radius": "Outlook on Windows draws square corners",
    "display": "Word's engine knows none only: there the button's cell carries colour and padding",
    "max-width": "Outlook on Windows gets tables of a fixed width in conditional comments",
    "max-height": "one of four ways to hide the preheader, with display, overflow and opacity",
    "overflow": "one of four ways to hide the preheader",
    "opacity": "one of four ways to hide the preheader",
    "word-break": "a long link widens the card",
    "cursor": "the pointer keeps its shape",
    "outline": "resets images, of which there are none",
    "mso-line-height-rule": "read by Outlook on Windows only",
    "mso-padding-alt": "read by Outlook on Windows only: the button's padding",
    "mso-table-lspace": "read by Outlook on Windows only",
    "mso-table-rspace": "read by Outlook on Windows only",
    "-ms-interpolation-mode": "read by old Outlook.com only",
    "-ms-text-size-adjust": "read by old Windows phones only",
    "-webkit-text-size-adjust": "read by Apple Mail only",
}

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


@pytest.mark.parametrize("name", SAMPLES)
def test_only_css_that_mail_programs_know_or_can_do_without(name: str) -> None:
    html = SAMPLES[name]().html
    inline = ";".join(re.findall(r'style="([^"]*)"', html))
    blocks = "".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    rules = ";".join(re.findall(r"\{([^{}]*)\}", blocks))
    used = {each.partition(":")[0].strip() for each in f"{inline};{rules}".split(";")} - {""}
    assert used <= SOUND | FALLBACKS.keys()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.mark.browser
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
