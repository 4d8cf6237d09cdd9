"""Emails use only CSS that mail programs understand."""

import re

import pytest

from emails.samples import SAMPLES

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


@pytest.mark.parametrize("name", SAMPLES)
def test_only_css_that_mail_programs_know_or_can_do_without(name: str) -> None:
    html = SAMPLES[name]().html
    inline = ";".join(re.findall(r'style="([^"]*)"', html))
    blocks = "".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    rules = ";".join(re.findall(r"\{([^{}]*)\}", blocks))
    used = {each.partition(":")[0].strip() for each in f"{inline};{rules}".split(";")} - {""}
    assert used <= SOUND | FALLBACKS.keys()
