r"""One way of writing for all the ways in which answers are written: Unicode, fonts, spacing, code, dialects of LaTeX.

`plain` keeps what an answer says and changes how: "３，５００", "2½", r"\mathbf{7}" and "np.sqrt(2)" become "3,500",
r"2\frac{1}{2}", "7" and r"\sqrt(2)". Text in whatever font becomes \text{}, a degree sign \degree, a currency
\currency.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

FUNCTIONS = (
    "arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sin cos tan cot sec csc log ln lg exp sqrt".split()
)
_SAME: dict[str, str] = {
    **dict.fromkeys(["dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"], "\\frac"),
    **dict.fromkeys(["leq", "leqslant", "leqq"], "\\le"),
    **dict.fromkeys(["geq", "geqslant", "geqq"], "\\ge"),
    **dict.fromkeys(["neq", "not="], "\\ne"),
    **dict.fromkeys(["times", "ast", "bullet", "cdotp"], "\\cdot"),
    **dict.fromkeys(["varnothing", "empty"], "\\emptyset"),
    **dict.fromkeys(["dots", "cdots", "dotsc", "dotsb"], "\\ldots"),
    **dict.fromkeys(["vert", "lvert", "rvert", "mid"], "|"),
    **dict.fromkeys(["lor", "vee"], "\\text{ or }"),
    **dict.fromkeys(["land", "wedge"], "\\text{ and }"),
    **dict.fromkeys(["quad", "qquad", "enspace", "thinspace", "nobreakspace", "space"], " "),
    **dict.fromkeys(
        "displaystyle textstyle scriptstyle limits nolimits large Large normalsize bf rm it sf".split(), ""
    ),
    **dict.fromkeys("left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr".split(), ""),
    **dict.fromkeys(["R", "Reals", "reals"], "\\mathbb{R}"),
    **{"lt": "<", "gt": ">", "div": "/", "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "colon": ":"},
    **{"infin": "\\infty", "degree": "\\degree", "percent": "\\%", "dollar": "\\currency", "pounds": "\\currency"},
    **{"euro": "\\currency", "varepsilon": "\\epsilon", "varphi": "\\phi", "vartheta": "\\theta", "lparen": "("},
    **{"rparen": ")", "smallsetminus": "\\setminus", "backslash": "\\setminus", "tg": "\\tan", "ctg": "\\cot"},
    **{"arctg": "\\arctan", "lg": "\\log", "rangle": "\\rangle", "langle": "\\langle", "And": "\\text{ and }"},
}
_TEXT_FONTS = "text textrm textbf textit textsf texttt textup textnormal mbox hbox mathrm operatorname emph rm".split()
_MATH_FONTS = (
    "mathbf mathit mathsf mathtt mathnormal boldsymbol bm pmb bold underline boxed fbox mathop ensuremath".split()
)
_GREEK = {name: f"\\{name.lower()}" for name in "ALPHA BETA GAMMA DELTA EPSILON ZETA ETA THETA IOTA KAPPA MU".split()}
_GREEK |= {name: f"\\{name.lower()}" for name in "NU XI OMICRON PI RHO SIGMA TAU UPSILON PHI CHI PSI OMEGA".split()}
_GREEK |= {"LAMDA": "\\lambda", "LAMBDA": "\\lambda", "FINAL SIGMA": "\\sigma"}
_SIGNS = {
    **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
    **dict.fromkeys("×⨯✕⋅·∙•∗＊", "\\cdot "),
    **dict.fromkeys("°º˚", "\\degree "),
    **dict.fromkeys("′’ʹ", "'"),
    **dict.fromkeys("∣｜", "|"),
    **dict.fromkeys("€£¥₹₽₩", "\\currency "),
    **{"¢": "\\text{ cents}", "÷": "/", "⁄": "/", "∕": "/", "≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge "},
    **{"≠": "\\ne ", "≈": "\\approx ", "∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "∅": "\\emptyset "},
    **{"±": "\\pm ", "∓": "\\mp ", "ℝ": "\\mathbb{R}", "⟨": "\\langle ", "⟩": "\\rangle ", "〈": "\\langle "},
    **{"〉": "\\rangle ", "…": "\\ldots ", "∖": "\\setminus ", "∶": ":", "″": "''", "、": ",", "∧": "\\text{ and }"},
    **{"∨": "\\text{ or }", "∛": "\\sqrt[3]", "√": "\\sqrt ", "∠": "\\angle ", "％": "\\%", "‰": "\\text{ permille}"},
}
_ABOVE = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_BELOW = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True))

_RAISED = re.compile(f"[{''.join(_ABOVE)}]+")
_LOWERED = re.compile(f"[{''.join(_BELOW)}]+")
_ROOT = re.compile(r"(\\sqrt(?:\[3\])?) ?(\d+(?:\.\d+)?|[a-zA-Z](?![a-zA-Z]))")
_OVERLINED = re.compile("(?:[0-9]\u0305)+")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_WHOLE_BOLD = re.compile(r"\s*(\*\*|__|`|\*)(.+?)\1[.\s]*", re.DOTALL)
_GLUE = re.compile(r"(?<=\d)(?:,?\s*\\!|\{\s*(?:,|\\,|~)\s*\}|\\[,:; ]|~|\\thinspace ?)\s*(?=\d{3}(?!\d))")
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?!\d|\s*/)")
_DELIMITER = re.compile(r"\\\\|\\\$|\\[()\[\]]|\$")
_SPACING = re.compile(r"(?<!\\)\\[,:;> ]|~|\\hspace\*?\{[^{}]*\}|\\vspace\{[^{}]*\}|\s+")
_CODE_PREFIX = re.compile(r"(?<![a-zA-Z\\])(?:np|numpy|math|sp|sympy|cmath)\.(?=[a-z])")
_CODE_NAMES = "|".join([*FUNCTIONS, "asin", "acos", "atan", "pi", "theta", "infinity", "infty", "inf", "union"])
_CODE_NAME = re.compile(rf"(?<![a-zA-Z\\])({_CODE_NAMES})(?![a-zA-Z])")
_CODE = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "infinity": "infty", "inf": "infty", "union": "cup"}
_MODULUS = re.compile(r"\(?\s*(?:\\[pb]?mod|(?<![a-zA-Z\\])mod)\s*\{?\s*(\w+)\s*\}?\)?")
_TEN_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_DEGREE = re.compile(r"(?:\{\s*\})?\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z])|\\degree|\{\s*\\degree\s*\})")
_OVER = re.compile(r"\{([^{}]*)\\over(?![a-z])([^{}]*)\}")
_COLOUR = re.compile(r"\\(?:textcolor|colorbox)\s*\{[^{}]*\}\s*(?=\{)|\\color\s*\{[^{}]*\}|\\[hv]?phantom\s*\{[^{}]*\}")
_LEADING = re.compile(r"^(?:\s|[=:,;]|\\approx(?![a-z])|\\text\s*\{\s*(?:is|about|approximately|approx\.?)\s*\})+")
_TRAILING = re.compile(r"(?:\\\\|\\ |[\s,;:]|(?<![.])\.)+$")


@lru_cache(maxsize=4096)
def plain(answer: str) -> str:
    """Return an answer in the one way of writing that the readers of this package know."""
    text = _ascii(answer)
    if bold := _WHOLE_BOLD.fullmatch(text):
        text = bold[2]
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z{}])", r"\\", text)  # twice escaped
    text = _GLUE.sub("", _DEGREE.sub(r"\\degree ", text)).replace("\\!", "")
    text = _DELIMITER.sub(lambda found: {"\\\\": "\\\\", "\\$": "\\currency "}.get(found[0], " "), text)
    text = _SPACING.sub(" ", _COLOUR.sub("", text))
    text = re.sub(r"\\(?:left|right)\s*\.", " ", text)
    text = _SPACING.sub(" ", _COMMAND.sub(_same_command, text))
    text = _without_fonts(text)
    while (shorter := _OVER.sub(r"\\frac{\1}{\2}", text)) != text:
        text = shorter
    text = _without_code(text)
    text = _SPACED_THOUSANDS.sub(lambda found: found[0].replace(" ", ""), text)
    text = re.sub(r"(?<!\\)%", r"\\%", re.sub(r" +", " ", text).replace("−", "-"))
    return _TRAILING.sub("", _LEADING.sub("", text)).strip()


def compact(text: str) -> str:
    r"""Return a plain text without what does not tell answers apart: spaces, braces around one sign, \text."""
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\s+(?!\d)|(?<!\d)\s+", "", text)
    return re.sub(r"\{(\\[a-zA-Z]+|[^{}\\])\}", r"\1", text)


def group_end(text: str, start: int) -> int:
    """Return where the group ends whose opening brace is at `start`: after its closing brace, or -1."""
    depth = 0
    for found in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth and found[0] == "}":
            return start + found.end()
    return -1


def _ascii(text: str) -> str:
    """Write signs beyond ASCII as LaTeX or as what they are alike."""
    if text.isascii():
        return text
    text = _OVERLINED.sub(lambda found: "\\overline{" + found[0].replace("\u0305", "") + "}", text)
    text = _RAISED.sub(lambda found: "^{" + "".join(_ABOVE[sign] for sign in found[0]) + "}", text)
    text = _LOWERED.sub(lambda found: "_{" + "".join(_BELOW[sign] for sign in found[0]) + "}", text)
    return _ROOT.sub(r"\1{\2}", "".join(map(_ascii_sign, text)))


def _ascii_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign in _SIGNS:
        return _SIGNS[sign]
    category = unicodedata.category(sign)
    if category in ("Cf", "Mn"):
        return ""
    if category == "Zs":
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(sign))
    if unicodedata.decomposition(sign).startswith("<fraction>"):
        above, _, below = unicodedata.normalize("NFKC", sign).partition("⁄")
        return f"\\frac{{{above}}}{{{below}}}" if below else above
    alike = unicodedata.normalize("NFKC", sign)
    return alike if alike.isascii() else "".join(_greek(letter) for letter in alike)


def _greek(letter: str) -> str:
    kind, _, name = unicodedata.name(letter, "").partition(" LETTER ")
    command = _GREEK.get(name) if kind in ("GREEK SMALL", "GREEK CAPITAL") else None
    if command is None:
        return _SIGNS.get(letter, letter)
    return (command if kind == "GREEK SMALL" else "\\" + command[1:].capitalize()) + " "


def _same_command(found: re.Match[str]) -> str:
    return _SAME.get(found[1], found[0])


def _without_fonts(text: str) -> str:
    """Take the content of math fonts and boxes out of them, and write all text fonts as text."""
    text = re.sub(r"\\mathbb\s*\{?\s*([A-Z])\s*\}?", r"\\mathbb{\1}", text)
    text = re.sub(rf"\\(?:{'|'.join(_TEXT_FONTS)})\*?\s*(?=\{{)", r"\\text", text)
    text = re.sub(r"\\text\{ *(" + "|".join(FUNCTIONS) + r") *\}", r"\\\1 ", text)
    text = _each_group(text, re.compile(r"\\text(?=\{)"), lambda inner: "\\text{" + re.sub(r"[{}]", "", inner) + "}")
    fonts = re.compile(rf"\\(?:{'|'.join(_MATH_FONTS)})(?![a-zA-Z])\s*")
    return _each_group(text, fonts, lambda inner: inner)


def _each_group(text: str, command: re.Pattern[str], rewrite: Callable[[str], str]) -> str:
    """Rewrite each command with the group behind it, inner ones again; without a group the command is dropped."""
    position = 0
    while found := command.search(text, position):
        start = found.end()
        end = group_end(text, start) if text[start : start + 1] == "{" else -1
        written = rewrite(text[start + 1 : end - 1]) if end > 0 else ""
        text = text[: found.start()] + written + text[end if end > 0 else start :]
        position = found.start() + (len(found[0]) if written.startswith(found[0]) else 0)
    return text


def _without_code(text: str) -> str:
    """Write what looks like a program as LaTeX; text stays text."""
    parts = re.split(r"(\\text\{[^{}]*\})", text)
    return "".join(part if part.startswith("\\text{") else _latex_of_code(part) for part in parts)


def _latex_of_code(text: str) -> str:
    text = _TEN_TIMES.sub(r"\\cdot ", _MODULUS.sub(r"\\text{ mod \1}", _CODE_PREFIX.sub("", text))).replace("**", "^")
    text = _CODE_NAME.sub(lambda found: "\\" + _CODE.get(found[1], found[1]) + " ", text)
    for code, latex in (
        ("<=", "\\le "),
        (">=", "\\ge "),
        ("!=", "\\ne "),
        ("==", "="),
        ("+/-", "\\pm "),
        ("+-", "\\pm "),
    ):
        text = text.replace(code, latex)
    return re.sub(r"(?<![\\*])\*", r"\\cdot ", text)
