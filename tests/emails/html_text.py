"""The visible words, links and sources of an email's HTML part."""

from html.parser import HTMLParser

BLOCKS = {"h1", "p", "div", "td", "th", "tr", "table", "br", "a"}
HIDDEN = {"style", "title"}
PREHEADER_FILLER = "\u034f"


class HtmlText(HTMLParser):
    """`links` are (target, words); `text` is one line for each block, the preheader left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self._lines = [""]
        self._href: str | None = None
        self._hidden = 0
        self.feed(html)

    @property
    def text(self) -> str:
        lines = (" ".join(line.split()) for line in self._lines)
        return "\n".join(line for line in lines if line and PREHEADER_FILLER not in line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [str(values[name]) for name in ("src", "background") if name in values]
        self._hidden += tag in HIDDEN
        if tag in BLOCKS:
            self._lines.append("")
        if tag == "a":
            self._href = str(values["href"])

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in HIDDEN
        if tag in BLOCKS:
            self._lines.append("")
        if tag == "a":
            self._href = None

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self.links.append((self._href, data))
        if not self._hidden:
            self.words.append(data)
            self._lines[-1] += data
