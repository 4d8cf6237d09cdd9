"""How searches compare words: without regard to case, accents, width and kinds of dashes."""

import unicodedata

# Letters that Unicode does not take apart, and signs that keyboards write in several ways.
_PLAIN = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe",
        "þ": "th", "’": "'", "‘": "'", "ʼ": "'", "`": "'", "‐": "-", "‑": "-", "–": "-", "—": "-",
    }
)  # fmt: skip


def search_key(text: str) -> str:
    """The same for "Åsa", "ÅSA" and "asa", composed or not, so that each finds the others."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = folded.translate(_PLAIN)
    return " ".join("".join(each for each in plain if not _is_ignored(each)).split())


def _is_ignored(character: str) -> bool:
    # Accents, but not what makes another letter in Japanese (8) and Indic (7, 9) scripts.
    is_accent = unicodedata.combining(character) not in (0, 7, 8, 9)
    return is_accent or unicodedata.category(character) == "Cf"
