"""Show numbers as a workbook does, by their format codes.

The source is ECMA-376 part 1, 18.8.30 and 18.8.31. What is built in from 27 on depends on the language of the program,
which no file tells. Six of these are a time in Chinese and a date in Japanese or Korean, so the value decides.

Dates and times are written as ISO 8601, whatever the code's order. A model cannot know whether 03/04 is a day in March
or in April.
"""

import datetime as dt
import math
import operator
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

# fmt: off
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm", 19: "h:mm:ss", 20: "h:mm",
    21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0;-#,##0", 38: "#,##0;-#,##0", 39: "#,##0.00;-#,##0.00",
    40: "#,##0.00;-#,##0.00", 41: "#,##0", 42: "#,##0", 43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss",
    47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    59: "0", 60: "0.00", 61: "#,##0", 62: "#,##0.00", 67: "0%", 68: "0.00%", 69: "# ?/?", 70: "# ??/??",
    **dict.fromkeys((*range(27, 32), 36, 50, 51, 54, 57, 58, *range(71, 75), 81), "yyyy-mm-dd"),
    32: "h:mm", 33: "h:mm:ss", 75: "h:mm", 76: "h:mm:ss", 77: "yyyy-mm-dd h:mm", 78: "mm:ss", 79: "[h]:mm:ss",
    80: "mm:ss.0",
    **dict.fromkeys((34, 52, 55), "[<1]h:mm;yyyy-mm-dd"), **dict.fromkeys((35, 53, 56), "[<1]h:mm:ss;yyyy-mm-dd"),
}
# fmt: on
_LITERALS = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_SEMICOLON = re.compile(r'("[^"]*"|[\\_*].|\[[^\]]*\])|;')  # one in quotes does not end a section
_QUOTED = re.compile(r'"[^"]*"|[\\_*].')
_CONDITION = re.compile(r"\[\s*([<>=]{1,2})([^\[\]]*)\]")
_COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_LIMIT = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_DIGITS = re.compile(r"[#0?](?:[#0?,. ]*[#0?,.])?(?:[eE][+-][0#?]+)?|\.[0#?]+")
_MOMENT = re.compile(r"[ymdhs]|a{3}|b{2}|e(?![+-])")  # a: days of the week, b and e: years of other calendars
_FRACTION = re.compile(r"(?<=s)\]?\.(0+)")  # of a second
_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001  # dates have no zone
_DAYS_TO_1904 = 1462  # from which other workbooks count
_MANY = 1e15  # what has more digits is not exact
_LAST_DAY = 2_958_466  # of the year 9999
_LONGEST = 255  # characters of a code; each "%" adds two digits
_HALF_UP = Context(prec=1000, rounding=ROUND_HALF_UP)  # enough digits for every number with so many


def shown(value: float, code: str, *, since_1904: bool = False) -> str:
    """Return a number as its format shows it."""
    if not math.isfinite(value):
        return str(value)
    if not code or code == "@" or code.lower() == "general" or len(code) > _LONGEST:
        return general(value)
    sections, conditions = _sections(code)
    place = _place(value, conditions)
    if place is None:
        return general(value)
    section = sections[place]
    bare = _LITERALS.sub("", section).lower().replace("general", "")
    if _MOMENT.search(bare) and not re.search(r"[0#?](?!.*[ymdhs])", _FRACTION.sub("", bare)):
        return _moment(value, bare, since_1904=since_1904)
    text = _number(abs(value), section)
    if not text and not bare.strip():
        return f"{general(value)} (hidden by its format)"
    signed = value < 0 and place in {_place(0, conditions), _place(-value, conditions)}
    return f"-{text}" if signed else text  # a section of negative numbers alone has its own sign


@lru_cache(256)
def _sections(code: str) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Return the sections for numbers, and the conditions of each."""
    sections = _SEMICOLON.sub(lambda found: found[1] or "\0", code).split("\0")[:4]
    if len(sections) > 3 or (len(sections) > 1 and "@" in _LITERALS.sub("", sections[-1])):
        sections.pop()  # it is of text
    return sections, [_CONDITION.findall(_QUOTED.sub("", section)) for section in sections]


def _place(value: float, conditions: list[list[tuple[str, str]]]) -> int | None:
    """Return which section shows a number, if one does and its condition is understood."""
    for place, found in enumerate(conditions):
        if found:
            sign, limit = found[0]
            if len(found) > 1 or sign not in _COMPARED or not _LIMIT.fullmatch(limit):
                return None
            holds = _COMPARED[sign](value, float(limit))
        elif place == 0:
            holds = len(conditions) == 1 or value > 0 or (value == 0 and len(conditions) == 2)
        else:
            holds = place == 2 or value < 0 or (bool(conditions[0]) and len(conditions) == 2)
        if holds:
            return place
    return None


def general(value: float) -> str:
    """Return a number that has no format.

    It has 15 digits, as a workbook keeps no more.
    """
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}"


def _exact(value: float) -> Decimal:
    """Return the decimal digits that a workbook keeps of a number, which are 15."""
    return Decimal(f"{value:.15g}")


def _rounded(value: Decimal, decimals: int) -> Decimal:
    """Round halves up, as a workbook does."""
    return value.quantize(Decimal(1).scaleb(-decimals), context=_HALF_UP)


def _number(value: float, section: str) -> str:
    literal = _LITERALS.sub(lambda found: (found[1] or found[2] or found[3] or "").translate(_ESCAPED), section)
    digits = _DIGITS.search(literal)
    if digits is None:
        text = literal.replace("General", general(value)).replace("@", general(value))
    elif "/" in literal[digits.end() : digits.end() + 2]:
        text = general(value)  # a fraction
    elif re.search("[0#?]", literal[digits.end() :]) and "." not in literal and value < _MANY:
        places = len(re.findall("[0#?]", literal))  # between other signs, such as 000-00-0000
        number = str(_rounded(_exact(value), 0)).rjust(places)
        first = len(number) - places + 1
        signs = iter([number[:first], *number[first:]])
        text = re.sub("[0#?]", lambda place: next(signs).replace(" ", "0" * (place[0] == "0")), literal)
    else:
        scaled = _exact(value).scaleb(2 * literal.count("%"))
        text = literal[: digits.start()] + _placed(scaled, digits[0]) + literal[digits.end() :]
    return text.translate(_UNESCAPED).strip()


_ESCAPED = {n: 0xE000 + n for n in range(128)}  # hides a literal's signs from the search for digits
_UNESCAPED = {hidden: sign for sign, hidden in _ESCAPED.items()}


def _placed(value: Decimal, pattern: str) -> str:
    if "E" in pattern.upper():
        pattern, sign, power = re.split("[eE]([+-])", pattern)
        whole, _, fraction = pattern.partition(".")
        width = len(re.findall(r"[0#?]", whole)) or 1  # "##0" has powers of a thousand
        value = _rounded(value, min(len(re.findall(r"[0#?]", fraction)), 15) - value.adjusted() // width * width)
        exponent = value.adjusted() // width * width if value else 0  # one more, where 9.99 became 10.0
        sign = "-" if exponent < 0 else sign.strip("-")
        return f"{_placed(value.scaleb(-exponent), pattern)}E{sign}{abs(exponent):0{len(power)}}"
    scaled = pattern.rstrip(" ")
    thousands = len(scaled) - len(scaled.rstrip(","))
    value = value.scaleb(-3 * thousands)
    whole, _, fraction = scaled.rstrip(",").partition(".")
    most, least = len(re.findall(r"[0#?]", fraction)), fraction.count("0")
    text = f"{_rounded(value, min(most, 15)):{',' if ',' in whole else ''}f}"
    if most > least:
        kept, _, end = text.partition(".")
        end = end[:least] + end[least:].rstrip("0")
        text = f"{kept}.{end}" if end else kept
    zeros = whole.count("0")
    head, _, rest = text.partition(".")
    head = head if zeros or head != "0" else ""
    return head.zfill(zeros) + (f".{rest}" if rest else "")


def _moment(value: float, code: str, *, since_1904: bool) -> str:
    """Return a date, a time or a length of time, in ISO's order."""
    fraction = _FRACTION.search(code)
    places = min(3, len(fraction[1])) if fraction else 0
    ticks = int(_rounded(_exact(value) * 86_400, places).scaleb(places))
    seconds, rest = divmod(abs(ticks), 10**places)
    end = f".{rest:0{places}}" if places else ""
    if "[" in code:
        minutes, seconds = divmod(seconds, 60)
        return f"{'-' if ticks < 0 else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}{end}"
    day = seconds // 86_400 + since_1904 * _DAYS_TO_1904
    if value < 0 or day >= _LAST_DAY:
        return general(value)
    if 1 <= day < 61:  # 1900 was no leap year, but Lotus 1-2-3 and its heirs say so
        day += 1
    moment = _EPOCH + dt.timedelta(days=day, seconds=seconds % 86_400)
    has_date = bool(re.search(r"[ydeb]|mmm|aaa", code)) or not re.search(r"[hs]", code)
    has_time = bool(re.search(r"[hs]", code))
    clock = moment.strftime("%H:%M:%S") + end if "s" in code else moment.strftime("%H:%M")
    if not has_date:
        return clock
    weekday = moment.strftime(" %a") if re.search("aaa|ddd", code) else ""
    return moment.strftime("%Y-%m-%d") + weekday + (f" {clock}" if has_time else "")
