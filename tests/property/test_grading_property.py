"""Whatever the number: every way to write it is right, and no other number is."""

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trim.problems.answers.boxes import extract_answer, has_boxed_answer
from trim.problems.answers.comparison import same

integers = st.integers(-(10**15), 10**15)
decimals = st.tuples(st.integers(-(10**6), 10**6), st.integers(1, 6))
fractions = st.tuples(st.integers(-999, 999), st.integers(2, 999))
floats = st.tuples(st.integers(1, 9999), st.integers(-40, 40))
fewer = settings(max_examples=60)
WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")


def never(found: str, expected: str) -> bool:
    raise AssertionError(f"math-verify is asked about {found!r} and {expected!r}")


def right(answer: str, reference: str) -> bool:
    return same(answer, reference, "", never)


def written_integers(number: int) -> list[str]:
    text, grouped = str(number), f"{number:,}"
    groups = [grouped.replace(",", sign) for sign in (",", "{,}", ",\\!", "\\,", "\u202f", "\u00a0", " ")]
    digits = str(abs(number))
    power = f"{'-' * (number < 0)}{digits[0]}.{digits[1:] or '0'} \\times 10^{{{len(digits) - 1}}}"
    wide = text.translate(WIDE)
    return [text, f"{text}.0", f"${text}$", f"{text}.", f"\\mathbf{{{text}}}", f"x = {text}", wide, power, *groups]


@fewer
@given(integers)
def test_an_integer_in_any_writing(number: int) -> None:
    for answer in written_integers(number):
        assert right(answer, str(number)), answer
        assert right(str(number), answer), answer


@fewer
@given(integers, integers)
def test_another_integer_in_no_writing(number: int, other: int) -> None:
    assume(number != other)
    assert [answer for answer in written_integers(other) if right(answer, str(number))] == []


def decimal_text(number: tuple[int, int]) -> str:
    digits, places = number
    text = str(abs(digits)).rjust(places + 1, "0")
    return f"{'-' * (digits < 0)}{text[:-places]}.{text[-places:]}"


@fewer
@given(decimals)
def test_a_decimal_in_any_writing(number: tuple[int, int]) -> None:
    digits, places = number
    text = decimal_text(number)
    answers = [
        text,
        text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text,
        f"{text}0",
        f"{text}000",
    ]
    answers += [f"{digits}e-{places}", f"{digits} \\times 10^{{-{places}}}", f"\\frac{{{digits}}}{{{10**places}}}"]
    answers += [f"{text} \\text{{ cm}}", f"{text}\\%", text.replace("-", "−"), f"{digits}/{10**places}"]
    assert [answer for answer in answers if not right(answer, text)] == []


@fewer
@given(decimals, decimals)
def test_another_decimal_in_no_writing(one: tuple[int, int], other: tuple[int, int]) -> None:
    assume(Fraction(one[0], 10 ** one[1]) != Fraction(other[0], 10 ** other[1]))
    assert not right(decimal_text(one), decimal_text(other))
    assert not right(f"{one[0]}e-{one[1]}", decimal_text(other))


@fewer
@given(fractions, fractions)
def test_a_fraction_is_itself_in_any_terms_and_no_other(one: tuple[int, int], other: tuple[int, int]) -> None:
    (above, below), value = one, Fraction(*one)
    reference = f"\\frac{{{above}}}{{{below}}}"
    answers = [f"{above}/{below}", f"\\dfrac{{{3 * above}}}{{{3 * below}}}", f"\\frac{{{-above}}}{{{-below}}}"]
    whole, rest = divmod(abs(above), below)
    if whole and rest:
        answers.append(f"{'-' * (above < 0)}{whole}\\frac{{{rest}}}{{{below}}}")
        answers.append(f"{'-' * (above < 0)}{whole} {rest}/{below}")
    assert [answer for answer in answers if not right(answer, reference)] == []
    assume(Fraction(*other) != value)
    assert not right(f"\\frac{{{other[0]}}}{{{other[1]}}}", reference)


@fewer
@given(floats, floats)
def test_powers_of_ten_are_told_apart_at_any_size(one: tuple[int, int], other: tuple[int, int]) -> None:
    reference = f"{one[0]}e{one[1]}"
    assert right(f"{one[0]} \\times 10^{{{one[1]}}} \\mathrm{{~J}}", reference)
    assert right(f"{one[0]}0E{one[1] - 1}", reference)
    assume(one[0] * Fraction(10) ** one[1] != other[0] * Fraction(10) ** other[1])
    assert not right(f"{other[0]} \\times 10^{{{other[1]}}}", reference)


@fewer
@given(st.integers(3, 99999), st.integers(2, 9), st.integers(2, 9))
def test_digits_are_right_in_their_own_base_alone(number: int, base: int, other: int) -> None:
    digits, left = "", number
    while left:
        digits, left = str(left % base) + digits, left // base
    assert right(digits, f"{digits}_{base}")
    assert right(f"{digits}_{{{base}}}", f"{digits}_{base}")
    assert right(f"{digits}_{other}", f"{digits}_{base}") == (other == base)


@fewer
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True), st.data())
def test_a_list_in_any_order_but_no_part_of_it(members: list[int], data: st.DataObject) -> None:
    reference = ", ".join(map(str, members))
    shuffled = data.draw(st.permutations(members))
    for answer in (", ".join(map(str, shuffled)), "\\{" + ",".join(map(str, shuffled)) + "\\}"):
        assert right(answer, reference)
    assert not right(", ".join(map(str, shuffled[1:])), reference)
    assert not right(", ".join(map(str, [*shuffled, 51])), reference)
    assert right("(" + ",".join(map(str, shuffled)) + ")", f"({reference})") == (list(shuffled) == members)


@fewer
@given(st.text(max_size=60))
def test_no_text_breaks_the_search_for_a_box(text: str) -> None:
    assert has_boxed_answer(text) == (extract_answer(text) is not None)
    assert extract_answer(f"{text} \\boxed{{7}}") is not None
