"""Names of people: what to call somebody whose full name is known, and what shows on paper."""

import re
import unicodedata
from itertools import takewhile


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Compared in lower case and without dots, hyphens and quotation marks.
_TITLES = _set(
    """
    dr dra drs dipl diplpsych diplpäd diplsozpäd diploming prof profin
    professor professora professorin doctor doktor doctora capt captain sgt lt
    mr mrs ms miss mx mister missus sir dame lord lady madam rev revd reverend fr rabbi
    herr frau fräulein frl hr mag ing
    mme mlle monsieur madame mademoiselle maître
    señor señora señorita sr sra srta senhor senhora sig sigra signor signora signorina
    dott dottssa dottor dottore dottoressa avv
    dhr mevr mevrouw meneer pan pani mgr inż mudr phdr judr rndr shri smt
    др доктор проф профессор гн гжа г κ κος κα δρ
    د دكتور دكتورة الدكتور الدكتورة أد السيد السيدة الأستاذ الأستاذة
    דר פרופ פרופסור מר גברת גב
    """
)
# Where one of these stands alone after a comma, the words before it are a surname: "Smith, Mr".
_FORMS_OF_ADDRESS = _set(
    """
    mr mrs ms miss mx mister missus sir dame lord lady madam herr frau fräulein frl hr
    mme mlle monsieur madame mademoiselle señor señora señorita sr sra srta senhor senhora
    sig sigra signor signora signorina dhr mevr mevrouw meneer pan pani shri smt гн гжа κ κος κα
    السيد السيدة מר גברת גב
    """
)
# After a title and in small letters: "Dr. med.", "Dr. rer. nat.", "Prof. Dr. h. c.".
_FACULTIES = _set("med phil rer nat jur dent vet habil univ mult pol theol h c")
# After the name, wherever a comma stands.
_LETTERS_AFTER = _set(
    """
    phd md msc bsc dphil psyd edd dclinpsych clinpsyd mbbs mba llm llb mft lmft lpc lcsw licsw rn
    msw mbacp ukcp cpsychol frcpsych mrcpsych obe mbe cbe jr sr ii iii iv esq
    """
)
# Also names of people, so only in capitals after a full name: "Jo Rao, MA".
_CAPITALS_AFTER = frozenset({"MA", "BA", "MS", "BS", "DO", "MED", "BED", "DDS"})
_PRONOUNS = _set("she her hers he him his they them theirs ze zir xe xem it its sie er ihr ihm")
_PARTICLES = _set(
    "van von vom zu zum zur de del della der den des di da do dos du la le el al bin ibn ben ter"
    " ten af av y e"
)
# Half of a name: "Abdul Rahman", "Abu Bakr".
_BEGINNINGS = _set("abd abdul abdel abdal abu umm عبد أبو ابو أم")
_CJK_HONORIFICS = re.compile(
    "(?<=..)(?:様|さん|氏|先生|博士|医師|医生|教授|女士|小姐|선생님|박사|교수|씨)$"
)
_COMMA = re.compile("[,;，、،；]")
# "Dr.Rao", "J.R.R.", and the middle dot of foreign names in katakana.
_INNER_DOT = re.compile(r"(?<=\w)\.(?=\w)|・")
_PATRONYMIC = re.compile("(?:вич|вна|ична)$")
# Letters and symbols by their category, but without a shape.
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def given_name(name: str) -> str:
    """What to call the person of this full name: without titles, without surname if one is known.

    Only an initial where `tells_given_name` is False. Never empty for a name that shows something.
    Chinese, Japanese and Korean names without a space stay whole, since nothing tells where the
    surname ends.
    """
    parts = _parts(name)
    named = _without_letters_after(parts)
    if len(named) > 1:
        return _first(named[1], named[1])
    if named and not _is_surname(named[0], parts):
        return _called(named[0])
    words = [word for part in named or parts for word in part]
    shown = [word for word in words if word not in _PARTICLES] or words
    return shown[0][0].upper() if shown else name.strip()


def tells_given_name(name: str) -> bool:
    """False for a title alone ("Ms"), and for a surname before a comma ("Smith, Mr")."""
    parts = _parts(name)
    named = _without_letters_after(parts)
    if len(named) == 1:
        return not _is_surname(named[0], parts)
    return bool(named) or not parts


def is_visible(text: str) -> bool:
    """Whether there is a letter, digit or sign to see, and not only blanks and loose marks."""
    return any(unicodedata.category(each)[0] in "LNPS" for each in text if each not in BLANKS)


def _parts(name: str) -> list[list[str]]:
    return [words for part in _COMMA.split(name) if (words := _words(part))]


def _words(part: str) -> list[str]:
    """The trimmed words of a part between commas, without leading titles unless it has no more."""
    words = [word for each in part.split() for word in _split_at_dots(each)]
    trimmed = [_trimmed(word) for word in _without_titles(words) or words]
    return [word for word in trimmed if word]


def _split_at_dots(word: str) -> list[str]:
    return [word] if _key(word) in _TITLES else _INNER_DOT.sub(". ", word).split()


def _without_titles(words: list[str]) -> list[str]:
    start, had_title = 0, False
    for word in words:
        is_title = _key(word) in _TITLES
        if not (is_title or (had_title and word.strip(".") in _FACULTIES) or not _trimmed(word)):
            break
        had_title = had_title or is_title
        start += 1
    return words[start:]


def _without_letters_after(parts: list[list[str]]) -> list[list[str]]:
    """The parts that are names: no "PhD", "Jr." or "Dr."."""
    named = [part for part in parts if not _are_letters(part)]
    if not named or len(named[0]) == 1:
        return named
    return [named[0], *(part for part in named[1:] if not _are_capitals(part))]


def _is_surname(words: list[str], parts: list[list[str]]) -> bool:
    """Whether `words`, the only part that is a name, stand before a comma and are a surname."""
    after = parts[parts.index(words) + 1 :]
    if not after or all(_are_pronouns(part) for part in after):
        return False
    is_one_name = len([word for word in words if word not in _PARTICLES]) == 1
    return is_one_name or any(_key("".join(part)) in _FORMS_OF_ADDRESS for part in after)


def _are_letters(words: list[str]) -> bool:
    letters = _TITLES | _LETTERS_AFTER
    joined = _key("".join(words))
    # "J. R." are initials, "Ph. D." is not.
    is_in_parts = joined in letters and not (len(words) > 1 and joined in {"jr", "sr"})
    return all(_key(each) in letters for each in words) or is_in_parts or _are_pronouns(words)


def _are_pronouns(words: list[str]) -> bool:
    return all(_key(each) in _PRONOUNS for word in words for each in word.split("/"))


def _are_capitals(words: list[str]) -> bool:
    return all(word in _CAPITALS_AFTER for word in words) or "".join(words) in _CAPITALS_AFTER


def _called(words: list[str]) -> str:
    if len(words) == 1:
        return _CJK_HONORIFICS.sub("", words[0])
    if all(_is_east_asian(word) for word in words):
        return _east_asian(words)
    if words[0] in _PARTICLES and any(word[0].isupper() for word in words):
        # A surname alone, such as "van der Berg".
        return " ".join(words)
    if len(words) == 3 and [bool(_PATRONYMIC.search(each)) for each in words[1:]] == [False, True]:
        # Russian lists: surname, name, father's name.
        return words[1]
    return _first(words, words[:-1])


def _first(words: list[str], given: list[str]) -> str:
    """The first of the `given` words that is written out, otherwise all their initials."""
    if _key(words[0]) in _BEGINNINGS and len(words) > 1:
        return " ".join(words[:2])
    given = list(takewhile(lambda word: word not in _PARTICLES, given)) or words
    if len(words[0]) > 1:
        return words[0]
    return next((word for word in given if len(word) > 1), "".join(given))


def _east_asian(words: list[str]) -> str:
    """The last word, since the surname comes first; in katakana, for foreign names, the first."""
    names = [word for word in words if _CJK_HONORIFICS.sub("", f"xx{word}") != "xx"] or words
    if all(unicodedata.name(each, "").startswith("KATAKANA") for each in "".join(names)):
        return names[0]
    return _CJK_HONORIFICS.sub("", names[-1])


def _is_east_asian(word: str) -> bool:
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
    return any(unicodedata.name(each, "").startswith(scripts) for each in word)


def _key(word: str) -> str:
    return re.sub(r"\W|_", "", word).lower()


def _trimmed(word: str) -> str:
    """Without signs and emoji at both ends."""
    start, end = 0, len(word)
    while start < end and (
        unicodedata.category(word[start])[0] not in "LN" or word[start] in BLANKS
    ):
        start += 1
    while end > start and unicodedata.category(word[end - 1])[0] not in "LMN":
        end -= 1
    return word[start:end]
