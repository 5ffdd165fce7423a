r"""Right and wrong answers, made of reference answers: what models write, and what is wrong by construction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

Rendition = Callable[[str], str | None]
INTEGER = re.compile(r"-?\d+")
PLAIN_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
LIST = re.compile(r"[^,()\[\]{}]+(?:,[^,()\[\]{}]+)+")
PAIR = re.compile(r"\(([^,()\[\]]+),([^,()\[\]]+)\)")
GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")


# --- what models write for a right answer -----------------------------------------------


def _in_display(answer: str) -> str | None:
    return f"\\displaystyle {answer}"


def _with_sized_brackets(answer: str) -> str | None:
    text = re.sub(r"\\left|\\right", "", answer)
    sized = re.sub(r"(?<![\\a-zA-Z])([(\[])", r"\\left\1", re.sub(r"(?<!\\)([)\]])", r"\\right\1", text))
    return None if sized == answer else sized


def _with_large_fractions(answer: str) -> str | None:
    return answer.replace("\\frac", "\\dfrac") if "\\frac" in answer else None


def _with_slashes(answer: str) -> str | None:
    text = re.sub(r"\\d?frac\{(-?\d+)\}\{(\d+)\}(?![\d}a-zA-Z\\])", r"\1/\2", answer)
    return None if text == answer or re.search(r"\d\d*\\frac", answer) else text


def _in_dollars(answer: str) -> str | None:
    return f"${answer}$"


def _in_parentheses_of_latex(answer: str) -> str | None:
    return f"\\({answer}\\)"


def _with_full_stop(answer: str) -> str | None:
    return f"{answer}."


def _spaced(answer: str) -> str | None:
    return (
        re.sub(r"(?<=[^\\\s])([+=,])(?!\\)", r" \1 ", answer)
        if "," not in answer or not GROUPED.search(answer)
        else None
    )


def _without_spaces(answer: str) -> str | None:
    text = re.sub(r"(?<![a-zA-Z]) +(?!\d)|(?<=[-+=,]) +", "", answer)
    return None if text == answer or "text" in answer or "mbox" in answer else text


def _named(answer: str) -> str | None:
    return None if re.search(r"[=<>,]|\\in|\\le|\\ge|text|_", answer) else f"x = {answer}"


def _bold(answer: str) -> str | None:
    return f"\\mathbf{{{answer}}}"


def _starred(answer: str) -> str | None:
    return f"**{answer}**"


def _boxed_again(answer: str) -> str | None:
    return f"\\boxed{{{answer}}}"


def _twice_escaped(answer: str) -> str | None:
    return answer.replace("\\", "\\\\") if re.search(r"\\[a-zA-Z]", answer) and "begin" not in answer else None


def _in_unicode(answer: str) -> str | None:
    text = answer.replace("-", "−").replace("\\pi", "π").replace("\\infty", "∞").replace("\\cup", "∪")
    text = re.sub(r"\\sqrt\{(\d+)\}", "√\\1", text.replace("\\le ", "≤").replace("^\\circ", "°").replace("\\pm", "±"))
    text = re.sub(r"\^2(?!\d)", "²", text)
    return None if text == answer or "begin" in text else text


def _full_width(answer: str) -> str | None:
    wide = str.maketrans("0123456789-", "０１２３４５６７８９－")
    return answer.translate(wide) if INTEGER.fullmatch(answer) else None


def _with_unit(answer: str) -> str | None:
    return f"{answer} \\text{{ units}}" if PLAIN_NUMBER.fullmatch(answer) else None


def _with_word(answer: str) -> str | None:
    return f"{answer} apples" if PLAIN_NUMBER.fullmatch(answer) else None


def _with_currency(answer: str) -> str | None:
    return f"\\${answer}" if PLAIN_NUMBER.fullmatch(answer) and "-" not in answer else None


def _with_percent(answer: str) -> str | None:
    return f"{answer}\\%" if PLAIN_NUMBER.fullmatch(answer) else None


def _grouped(sign: str) -> Rendition:
    def rendition(answer: str) -> str | None:
        return f"{int(answer):,}".replace(",", sign) if INTEGER.fullmatch(answer) and abs(int(answer)) >= 1000 else None

    rendition.__name__ = f"thousands with {sign!r}"
    return rendition


def _as_decimal(answer: str) -> str | None:
    if INTEGER.fullmatch(answer):
        return f"{int(answer)}.0"
    found = re.fullmatch(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}", answer)
    if not found:
        return None
    value = Fraction(int(found[2]), int(found[3]))
    return f"{found[1]}{float(value)!r}" if 10**6 % value.denominator == 0 else None


def _as_power_of_ten(answer: str) -> str | None:
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)[eE]([-+]?\d+)", answer)
    if found:
        return f"{found[1]} \\times 10^{{{int(found[2])}}}"
    if not INTEGER.fullmatch(answer) or not answer.strip("-0") or len(answer) < 2:
        return None
    digits = answer.lstrip("-").lstrip("0")
    sign = "-" if answer.startswith("-") else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'} \\times 10^{{{len(digits) - 1}}}"


def _with_zeros(answer: str) -> str | None:
    return f"0{answer}" if INTEGER.fullmatch(answer) and "-" not in answer else None


def _turned_round(answer: str) -> str | None:
    return ", ".join(reversed(members)) if (members := _listed(answer)) else None


def _with_and(answer: str) -> str | None:
    return " \\text{ and } ".join(members) if (members := _listed(answer)) else None


def _as_set(answer: str) -> str | None:
    return "\\{" + ", ".join(members) + "\\}" if (members := _listed(answer)) else None


def _with_other_matrix(answer: str) -> str | None:
    return answer.replace("pmatrix", "bmatrix") if "pmatrix" in answer else None


def _as_tuple(answer: str) -> str | None:
    if answer.count("begin") != 1 or "&" in answer or "pmatrix" not in answer:
        return None
    rows = re.sub(r"\\(?:begin|end)\{pmatrix\}", "", answer).split("\\\\")
    return "(" + ", ".join(row.strip() for row in rows) + ")"


def _in_text(answer: str) -> str | None:
    word = re.fullmatch(r"\\text\{\(?([a-zA-Z]+)\)?\}", answer)
    return word[1] if word else None


def _with_written_base(answer: str) -> str | None:
    found = re.fullmatch(r"(\d+)_\{?(\d+)\}?", answer)
    return f"{found[1]}_{{{found[2]}}}" if found else None


def _listed(answer: str) -> list[str]:
    """Return the members of a list of several values."""
    if not LIST.fullmatch(answer) or GROUPED.search(answer) or "\\!" in answer or "=" in answer:
        return []
    return [member.strip() for member in answer.split(",")]


RIGHT: list[Rendition] = [
    *(_in_display, _with_sized_brackets, _with_large_fractions, _with_slashes, _in_dollars, _in_parentheses_of_latex),
    *(
        _with_full_stop,
        _spaced,
        _without_spaces,
        _named,
        _bold,
        _starred,
        _boxed_again,
        _twice_escaped,
        _in_unicode,
        _full_width,
    ),
    *(
        _with_unit,
        _with_word,
        _with_currency,
        _with_percent,
        _as_decimal,
        _as_power_of_ten,
        _with_zeros,
        _turned_round,
        _with_and,
    ),
    *(_as_set, _with_other_matrix, _as_tuple, _in_text, _with_written_base),
    *(_grouped(sign) for sign in (",", "{,}", ",\\!", "\\,", "\u202f", "\u00a0", " ")),
]


# --- answers that are wrong -------------------------------------------------------------


def _other_numbers(answer: str) -> Iterator[str]:
    """Change one number after another by one, and by a digit that is dropped or added."""
    if " or " in answer:
        return  # each of these numbers is right
    for found in re.finditer(r"\d+", answer):
        before, after = answer[: found.start()], answer[found.end() :]
        if re.search(r"_\{?$", before):
            continue
        number = found[0]
        if re.match(r"\.\d|[eE]\d", after) or re.search(r"\d\.$|^\.$|[^\d]\.$", before):
            yield before + number[:-1] + str((int(number[-1]) + 1) % 10) + after
            continue
        yield f"{before}{int(number) + 1}{after}"
        if int(number) and PLAIN_NUMBER.fullmatch(answer):
            yield f"{before}{number}0{after}"


def _other_signs(answer: str) -> Iterator[str]:
    """Change the sign of the whole, and the signs within."""
    if PLAIN_NUMBER.fullmatch(answer) and float(answer):
        yield answer.removeprefix("-") if answer.startswith("-") else f"-{answer}"
    for found in re.finditer(r"(?<=[\w})]) ?([-+]) ?(?=[\w\\(])", answer):
        if "\\text" not in answer:
            yield answer[: found.start()] + {"-": "+", "+": "-"}[found[1]] + answer[found.end() :]


def _other_bases(answer: str) -> Iterator[str]:
    """Say another base, or one where there is none."""
    if based := re.fullmatch(r"(\d+)_\{?(\d+)\}?", answer):
        yield f"{based[1]}_{int(based[2]) + 1}"
        yield f"{based[1]}_{{10}}"
    elif INTEGER.fullmatch(answer) and int(answer) > 9 and set(answer) <= set("01234567"):
        yield f"{answer}_8"


def _other_members(answer: str) -> Iterator[str]:
    """Drop a member, add one, swap two."""
    if members := _listed(answer):
        yield from (", ".join(members[:i] + members[i + 1 :]) for i in range(len(members)))
        yield ", ".join([*members, "123457"])
    if (pair := PAIR.fullmatch(answer)) and pair[1].strip() != pair[2].strip():
        yield f"({pair[2].strip()}, {pair[1].strip()})"
        yield f"\\{{{pair[1].strip()}, {pair[2].strip()}\\}}"
        yield f"[{pair[1].strip()}, {pair[2].strip()}]"
        yield pair[1]
    for one, other in (("[", "("), ("]", ")")):
        if "," in answer and re.fullmatch(r".*[\[(].*,.*[\])].*", answer) and one in answer and "\\frac[" not in answer:
            yield answer.replace(one, other)
    if "\\cup" in answer:
        yield from answer.split("\\cup")


def _other_words(answer: str) -> Iterator[str]:
    """Say something else, or nothing of the kind."""
    yield "\\text{none of these}"
    yield "123457"
    if re.fullmatch(r"\\text\{\([A-E]\)\}", answer):
        yield "\\text{(F)}"


WRONG = (_other_numbers, _other_signs, _other_bases, _other_members, _other_words)
