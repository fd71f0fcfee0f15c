"""Write equations as one line of LaTeX.

They come as Office Math (ECMA-376 part 1, 22.1) or MathML.
"""

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter.package import attribute

_SILENT = {"rPr", "ctrlPr", "annotation", "annotation-xml"}


def equation(element: Element) -> str:
    """Return an equation as LaTeX between dollars."""
    words = " ".join(_any(element).split())
    return f"${words}$" if words else ""


def _any(element: Element) -> str:
    name = element.tag.rpartition(":")[2]
    if name in _SILENT or name.endswith("Pr"):
        return ""
    if name in _OMML:
        return _OMML[name](element)
    if name in _MATHML:
        return _MATHML[name]([_any(child) for child in element])
    if not len(element):
        return element.text or ""
    return "".join(_any(child) for child in element)


def _part(element: Element, name: str) -> str:
    return "".join(_any(child) for child in element if child.tag.rpartition(":")[2] == name)


def _property(element: Element, name: str, default: str) -> str:
    for child in element.iter():
        if child.tag == f"m:{name}":
            return attribute(child, "val", default)
    return default


def _entries(element: Element) -> list[str]:
    return [_any(child) for child in element if child.tag == "m:e"]


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"\\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e')}}}"


def _scripts(base: str, sub: str = "", sup: str = "") -> str:
    return base + (f"_{{{sub}}}" if sub else "") + (f"^{{{sup}}}" if sup else "")


_OMML: dict[str, Callable[[Element], str]] = {
    "f": lambda e: f"\\frac{{{_part(e, 'num')}}}{{{_part(e, 'den')}}}",
    "sSup": lambda e: _scripts(_part(e, "e"), sup=_part(e, "sup")),
    "sSub": lambda e: _scripts(_part(e, "e"), sub=_part(e, "sub")),
    "sSubSup": lambda e: _scripts(_part(e, "e"), _part(e, "sub"), _part(e, "sup")),
    "sPre": lambda e: _scripts("{}", _part(e, "sub"), _part(e, "sup")) + _part(e, "e"),
    "rad": _root,
    "nary": lambda e: _scripts(_property(e, "chr", "∫"), _part(e, "sub"), _part(e, "sup")) + " " + _part(e, "e"),
    "d": lambda e: (
        _property(e, "begChr", "(") + _property(e, "sepChr", "|").join(_entries(e)) + _property(e, "endChr", ")")
    ),
    "m": lambda e: (
        "\\begin{matrix}" + " \\\\ ".join(" & ".join(_entries(row)) for row in e if row.tag == "m:mr") + "\\end{matrix}"
    ),
    "limLow": lambda e: _scripts(_part(e, "e"), sub=_part(e, "lim")),
    "limUpp": lambda e: _scripts(_part(e, "e"), sup=_part(e, "lim")),
    "func": lambda e: _part(e, "fName") + " " + _part(e, "e"),
    "eqArr": lambda e: " \\\\ ".join(_entries(e)),
    "acc": lambda e: _part(e, "e") + _property(e, "chr", "\u0302"),
    "bar": lambda e: f"\\overline{{{_part(e, 'e')}}}",
}


def _pair(form: str) -> Callable[[Sequence[str]], str]:
    return lambda parts: form.format(*parts) if len(parts) >= form.count("{}") else "".join(parts)


_MATHML: dict[str, Callable[[Sequence[str]], str]] = {
    "mfrac": _pair("\\frac{{{}}}{{{}}}"),
    "msup": _pair("{}^{{{}}}"),
    "msub": _pair("{}_{{{}}}"),
    "msubsup": _pair("{}_{{{}}}^{{{}}}"),
    "munder": _pair("{}_{{{}}}"),
    "mover": _pair("{}^{{{}}}"),
    "munderover": _pair("{}_{{{}}}^{{{}}}"),
    "msqrt": lambda parts: f"\\sqrt{{{''.join(parts)}}}",
    "mroot": lambda parts: f"\\sqrt[{parts[-1]}]{{{''.join(parts[:-1])}}}" if parts else "",
    "mtr": lambda parts: " & ".join(parts) + " \\\\ ",
}
