"""The manuscript's PDF: how it is built, and what fails the build."""

import shutil
from pathlib import Path

import pytest

from trim.paper.manuscript import ManuscriptError, build, find_complaints
from trim.paper.numbers import render

LOG = r"""
LaTeX Warning: Reference `fig:gone' on page 3 undefined on input line 214.
LaTeX Warning: Reference `fig:gone' on page 4 undefined on input line 220.
Package natbib Warning: Citation `gone2020' on page 1 undefined on input line 71.
LaTeX Warning: Label `tab:main' multiply defined.
LaTeX Warning: Float too large for page by 12.5pt on input line 9.
Overfull \hbox (31.5pt too wide) in paragraph at lines 214--220
Overfull \hbox (0.9pt too wide) in paragraph at lines 10--12
"""
STOPPED = r"""
Package natbib Warning: Citation `gone2020' on page 1 undefined on input line 71.
./main.tex:12: There is no number main/arith/wrong.
l.12 has \num{main/arith/wrong}
                        of them
./main.tex:12:  ==> Fatal error occurred, no output PDF file produced!
"""


def test_what_is_amiss_is_read_from_the_log() -> None:
    assert find_complaints(LOG) == [
        "reference fig:gone leads nowhere",
        "citation gone2020 leads nowhere",
        "label tab:main is there twice",
        "a float is 12.5 points too high for its page",
        "31.5 points stick out of a column in paragraph at lines 214--220",
    ]
    assert find_complaints(STOPPED) == ["main.tex, line 12: There is no number main/arith/wrong."]
    undefined = "./main.tex:3: Undefined control sequence.\nl.3 has \\MyTypo\n            {} of them\n"
    assert find_complaints(undefined) == [r"main.tex, line 3: Undefined control sequence. \MyTypo"]
    assert find_complaints("! Emergency stop.") == ["Emergency stop."]
    assert find_complaints("Output written on main.pdf (7 pages).") == []


def write_source(folder: Path, body: str) -> Path:
    source = folder / "main.tex"
    head = r"\documentclass{article}\pdftrailerid{}\pdfsuppressptexinfo=-1 \input{numbers}\begin{document}"
    source.write_text(rf"{head}{body}\end{{document}}", encoding="utf-8")
    (folder / "numbers.tex").write_text(render({"main/a_b/x y": "$2.35$"}, "title"), encoding="utf-8")
    return source


def build_source(folder: Path, body: str, name: str = "paper.pdf") -> bytes:
    source = write_source(folder, body)
    build([source, folder / "numbers.tex"], [], [], folder / name, folder / "latex.log")
    return (folder / name).read_bytes()


def test_without_latex_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ManuscriptError, match="no LaTeX here .*apt-get install .*latexmk") as error:
        build_source(tmp_path, "Text")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.pdf"))


def test_tectonic_is_used_where_there_is_no_latexmk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/tectonic"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" > "${last%.tex}.pdf"; : > "${last%.tex}.log"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert build_source(tmp_path, "Text") == b"--keep-logs --chatter minimal main.tex\n"


needs_latex = pytest.mark.skipif(not shutil.which("latexmk"), reason="latexmk is not installed")


@needs_latex
def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (build_source(tmp_path, r"It is \num{main/a_b/x y}.", name) for name in ("one.pdf", "two.pdf"))
    assert first.startswith(b"%PDF")
    assert first == second
    assert str(tmp_path).encode() not in first
    assert {path.name for path in tmp_path.iterdir()} == {"main.tex", "numbers.tex", "one.pdf", "two.pdf", "latex.log"}


@needs_latex
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (r"It is \num{main/wrong_key}.", r"main.tex, line 1: There is no number main/wrong_key"),
        (r"It is \Wrong.", r"main.tex, line 1: Undefined control sequence. \\Wrong"),
        (r"See \ref{nothing}.", "reference nothing leads nowhere"),
        (r"See \cite{nobody}.", "citation nobody leads nowhere"),
        (r"\noindent\rule{900pt}{1pt}", "points stick out"),
        (r"\includegraphics{nothing}", "Undefined control sequence"),
    ],
)
def test_a_flaw_fails_the_build(body: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ManuscriptError, match=sentence):
        build_source(tmp_path, body)
    assert not (tmp_path / "paper.pdf").exists()
    assert (tmp_path / "latex.log").stat().st_size > 0
