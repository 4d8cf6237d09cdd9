"""Emails use only CSS that mail programs understand."""

import re
from html.parser import HTMLParser

from emails.samples import SAMPLES
from tests.emails.html_text import HIDDEN
from tests.harness.every import for_every

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
    "mso-hide": "read by Outlook on Windows only: hides the preheader",
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


@for_every(SAMPLES)
def test_only_css_that_mail_programs_know_or_can_do_without(name: str) -> None:
    html = SAMPLES[name]().html
    inline = ";".join(re.findall(r'style="([^"]*)"', html))
    blocks = "".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    rules = ";".join(re.findall(r"\{([^{}]*)\}", blocks))
    used = {each.partition(":")[0].strip() for each in f"{inline};{rules}".split(";")} - {""}
    assert used <= SOUND | FALLBACKS.keys()


VOID = {"br", "hr", "img", "meta", "link", "input", "col"}
# What a page is drawn with where nothing else is said.
PLAIN = {"color": "#000000", "background": "#ffffff", "font-size": "16px"}


class Inks(HTMLParser):
    """`texts` are (words, colour, ground, size in px) by inline styles, hidden words as well."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[tuple[str, str, str, float]] = []
        self._stack = [("", PLAIN)]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        said = dict(re.findall(r"(?:^|;)\s*([a-z-]+)\s*:\s*([^;]+)", values.get("style", "")))
        ground = said.get("background-color") or said.get("background") or values.get("bgcolor")
        if ground is not None:
            said["background"] = ground
        style = self._stack[-1][1] | {name: said[name].strip() for name in PLAIN.keys() & said}
        if tag not in VOID:
            self._stack.append((tag, style))

    def handle_endtag(self, tag: str) -> None:
        while len(self._stack) > 1 and self._stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, style = self._stack[-1]
        if data.strip() and tag not in HIDDEN:
            size = float(style["font-size"].removesuffix("px"))
            self.texts.append((data.strip(), style["color"], style["background"], size))


def luminance(colour: str) -> float:
    channels = (int(colour.lower()[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str, ground: str) -> float:
    darker, lighter = sorted((luminance(colour), luminance(ground)))
    return (lighter + 0.05) / (darker + 0.05)


@for_every(SAMPLES)
def test_no_words_are_written_small_or_in_the_colour_of_their_ground(name: str) -> None:
    # Spam filters count such words as hidden, whatever else hides them: the preheader too.
    texts = Inks(SAMPLES[name]().html).texts
    assert len(texts) > 5
    # In an attribute, these count as an attempt to hide words.
    hiding = r'style="[^"]*(?:display:\s*none|visibility:\s*hidden)'
    assert not re.search(hiding, SAMPLES[name]().html)
    assert [each for each in texts if contrast(each[1], each[2]) < 4.5 or each[3] < 12] == []


def test_white_on_white_and_tiny_words_would_be_found() -> None:
    hidden = "display:none;font-size:1px;color:#ffffff;"
    html = f'<div style="{hidden}">a<p style="color:#000000">b</p></div>c'
    texts = Inks(html).texts
    assert [(words, size) for words, *_, size in texts] == [("a", 1), ("b", 1), ("c", 16)]
    assert [contrast(colour, ground) for _, colour, ground, _ in texts] == [1, 21, 21]
