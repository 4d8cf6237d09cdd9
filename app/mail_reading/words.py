"""What a person newly wrote in a reply: without quotes, signatures and our own words."""

import re
from email.message import Message
from html.parser import HTMLParser

from app.mail_reading import mime
from app.mail_reading.facts import WordAnswer

LONGEST = 20_000

# What mail programs write above a quote; "On … wrote:" may take up to three lines.
_WROTE = re.compile(
    r"(?:On|Am|Le|Il|El|Op|Em|Den|På|W dniu)\b.{0,300}"
    r"(?:wrote|schrieb|a écrit|ha scritto|escribió|schreef|escreveu|skrev|napisał)\b.{0,200}:",
    re.IGNORECASE,
)
_FROM = re.compile(r"\*?(?:From|Von|De|Da|Van|Från)\s?:\*?\s?\S", re.IGNORECASE)
_UNDER_FROM = re.compile(
    r"\*?(?:Sent|Date|To|Subject|Gesendet|Datum|An|Betreff|Envoyé|À|Objet|Enviado|Para|Inviato"
    r"|Verzonden|Aan)\s?:",
    re.IGNORECASE,
)
_RULE = re.compile(r"_{20,}|-{2,}\s?[\w' ]{3,40}\s?-{2,}")
_SIGNATURE = re.compile(
    r"--\s?|(?:Sent from|Get Outlook for|Gesendet (?:von|mit)|Von meinem .{2,30} gesendet"
    r"|Envoyé (?:de|depuis) mon|Enviado desde|Inviato da|Verstuurd vanaf|Skickat från)\b.{0,120}",
    re.IGNORECASE,
)
_SIGNATURE_LINES = 15
_OUR_LINK = re.compile(r"https?://\S+/link/[a-z-]+/\S+")
_OUR_GREETING = re.compile(r"Hello \S.{0,80},")

_YES = frozenset({"yes", "accept", "ok"})
_SEEMS = re.compile(r"\W*(?:yes|yep|accept(?:ed)?|ok(?:ay)?|no(?:pe)?|declined?)\b", re.IGNORECASE)
_NO = re.compile(r"(?:no|decline)(?:\s*,\s*(?P<reason>\S.*))?", re.IGNORECASE)


def read(parts: list[Message], name: str = "") -> tuple[str, WordAnswer | None]:
    """The new text, and the answer if its whole first line is one. `name`: of the sender."""
    bodies = [part for part in parts if not mime.is_attachment(part)]
    plain = _first(bodies, "text/plain")
    text = mime.text_of(plain)[:LONGEST] if plain else ""
    if text.strip():
        return new_text(text, name), answer(text)
    marked_up = _first(bodies, "text/html")
    # Markup alone is no answer: what its first line is depends on who shows it.
    plainly = _plain(mime.text_of(marked_up)[: 10 * LONGEST]) if marked_up else ""
    return new_text(plainly, name), None


def _first(parts: list[Message], kind: str) -> Message | None:
    return next((part for part in parts if part.get_content_type() == kind), None)


def answer(text: str) -> WordAnswer | None:
    """The answer of a text as it came: its first line that is not empty, if that is one."""
    lines = _lines(text)
    first = next((index for index, line in enumerate(lines) if line), None)
    if first is None or _begins_quote(lines, first):
        return None
    line = lines[first]
    if line.rstrip(".! ").lower() in _YES:
        return WordAnswer(is_yes=True)
    found = _NO.fullmatch(line) or _NO.fullmatch(line.rstrip(".! "))
    return WordAnswer(is_yes=False, reason=found["reason"] or "") if found else None


def seems_answer(text: str) -> bool:
    """Whether it begins like an answer, and its writer may think that it is one."""
    return bool(_SEEMS.match(text))


def without_answer(text: str) -> str:
    """What follows the first line."""
    return text.partition("\n")[2].strip()


def new_text(text: str, name: str = "") -> str:
    lines = _lines(text)
    start = _end_of_leading_quote(lines)
    kept: list[str] = []
    for index in range(start, len(lines)):
        if _begins_quote(lines, index) or _SIGNATURE.fullmatch(lines[index]):
            break
        kept.append(lines[index])
    kept = _without_signature(kept, name)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_without_our_email(kept))).strip()


def _lines(text: str) -> list[str]:
    return [line.strip(" \t\xa0\u200b\ufeff") for line in text.splitlines()]


def _begins_quote(lines: list[str], index: int) -> bool:
    line = lines[index]
    if line.startswith(">") or _RULE.fullmatch(line):
        return True
    joined = ""
    for each in lines[index : index + 3]:
        joined = f"{joined} {each}".strip()
        if _WROTE.fullmatch(joined):
            return True
    below = lines[index + 1 : index + 5]
    return bool(_FROM.match(line)) and any(map(_UNDER_FROM.match, below))


def _end_of_leading_quote(lines: list[str]) -> int:
    """Where the text of somebody who writes below the quote begins."""
    quoted = [index for index, line in enumerate(lines) if line.startswith(">")]
    if not quoted:
        return 0
    above = [index for index in range(quoted[0]) if lines[index]]
    if above and not any(_begins_quote(lines, index) for index in above[:1]):
        return 0
    end = quoted[0]
    while end < len(lines) and (lines[end].startswith(">") or not lines[end]):
        end += 1
    return end


def _without_signature(lines: list[str], name: str) -> list[str]:
    """Cut what follows the sender's whole name: Outlook marks a signature by nothing else."""
    if " " not in name.strip():
        return lines
    whole = " ".join(name.split()).casefold()
    above = False
    for index, line in enumerate(lines):
        if (
            above
            and line.rstrip(",.").casefold() == whole
            and len(lines) - index <= _SIGNATURE_LINES
        ):
            return lines[:index]
        above = above or bool(line)
    return lines


def _without_our_email(lines: list[str]) -> list[str]:
    """Cut our own email where it stands without a quote: its links are its recipient's alone."""
    link = next((i for i, line in enumerate(lines) if _OUR_LINK.search(line)), None)
    if link is None:
        return lines
    greeting = next((i for i in range(link) if _OUR_GREETING.fullmatch(lines[i])), None)
    if greeting is None:
        return lines[:link]
    # The line above the greeting is the email's first.
    return lines[: max((i for i in range(greeting) if lines[i]), default=0)]


class _Text(HTMLParser):
    _HIDDEN = frozenset({"style", "script", "head", "title", "blockquote"})
    _BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3"})

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._hidden += tag in self._HIDDEN
        if tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self._HIDDEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(" ".join(data.split("\n")))


def _plain(markup: str) -> str:
    reader = _Text()
    try:
        reader.feed(markup)
        reader.close()
    # Markup may be anything.
    except Exception:
        return ""
    return "".join(reader.pieces)[:LONGEST]
