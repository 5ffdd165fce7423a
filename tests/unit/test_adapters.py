"""Benchmark layouts, on small files of our own and on the real ones where they are at hand."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from trim.config.datasets import FileDataset
from trim.errors import InputError
from trim.problems.adapters import load_dataset, source_digest
from trim.problems.problem import Problem, read_problems, write_problems

REPOSITORY = Path(__file__).parents[2]

OWN: dict[str, list[dict[str, Any]]] = {
    "math": [
        {
            "problem": "Halve one.",
            "solution": r"It is $\boxed{\frac12}$.",
            "answer": r"\frac{1}{2}",
            "unique_id": "a/1",
        },
        {"problem": "Add two and three.", "solution": r"\boxed{4}, no, $\boxed{ 5 }$", "unique_id": "a/2"},
        {"problem": "Double four.", "solution": "", "answer": 8, "unique_id": "a/3"},
        {"question": "How fast does a stone fall?", "answer": "9.8"},  # Minerva Math
    ],
    "aime": [
        {"ID": "2099-1", "problem": "How many legs have 10 cats?", "solution": "40"},
        {"ID": "2099-2", "problem": "How many eyes have 4 cats?", "solution": "008"},
        {"ID": "2099-3", "problem": "Which cat is best?", "solution": "007 or 9 (both were accepted)"},
        {"ID": "2099-4", "problem": "How many dogs are cats?", "solution": 0},
        {"ID": "2099-5", "Question": "How many cats are cats?", "Answer": "999"},
    ],
    "gsm8k": [
        {"question": "Ann has 2 hats and buys 3. How many?", "answer": "She has 2+3=<<2+3=5>>5.\n#### 5"},
        {"question": "A town of 900 grows by 700. How many?", "answer": "900+700=1600\n#### 1,600 "},
        {"question": "Bo owes 7. What does he have?", "answer": "#### -7"},
    ],
    "olympiadbench": [
        {"question": "Solve $x+1=2$.", "final_answer": ["$1$"], "is_multiple_answer": False},
        {"question": "Solve $x^2=4$.", "final_answer": ["$2$", " $-2$ "]},
        {"question": "Name a pair.", "final_answer": ["(1, 2)"]},
    ],
}
ANSWERS = {
    "math": [r"\frac{1}{2}", "5", "8", "9.8"],
    "aime": ["40", "8", "7 or 9", "0", "999"],
    "gsm8k": ["5", "1600", "-7"],
    "olympiadbench": ["1", "2, -2", "(1, 2)"],
}
TEXTS = {
    "olympiadbench": "Solve $x+1=2$.",
    "math": "Halve one.",
    "aime": "How many legs have 10 cats?",
    "gsm8k": "Ann has 2 hats and buys 3. How many?",
}

# file: (layout, problems, {index: answer})
REAL = {
    "math500/test.jsonl": ("math", 500, {0: r"\left( 3, \frac{\pi}{2} \right)", 1: "p - q", 2: r"\frac{14}{3}"}),
    "aime/train.jsonl": ("aime", 451, {0: "93", 1: "592", 2: "144"}),
    "aime/test.jsonl": ("aime", 482, {0: "60", 1: "15", 2: "20"}),
    "gsm8k/test.jsonl": ("gsm8k", 1319, {0: "18", 1: "3", 2: "70000"}),
}


def file_dataset(path: Path, layout: str, **changes: Any) -> FileDataset:
    return FileDataset.model_validate({"source": "jsonl", "layout": layout, "path": str(path)} | changes)


def write_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", OWN)
def test_reads_every_layout(layout: str, tmp_path: Path) -> None:
    problems = load_dataset("mine", file_dataset(write_lines(tmp_path / "own.jsonl", OWN[layout]), layout))
    assert [p.answer for p in problems] == ANSWERS[layout]
    assert [p.id for p in problems] == [f"mine-{i}" for i in range(len(problems))]
    assert {p.dataset for p in problems} == {"mine"}
    assert problems[0].text == TEXTS[layout]


def real_file(name: str) -> Path:
    path = Path(os.environ.get("TRIM_TEST_DATA") or REPOSITORY.parent / "shared" / "data") / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand; set TRIM_TEST_DATA to the folder that holds it")
    return path


@pytest.mark.parametrize("file", REAL)
def test_reads_the_real_files_whole(file: str, tmp_path: Path) -> None:
    layout, count, answers = REAL[file]
    problems = load_dataset("real", file_dataset(real_file(file), layout))
    assert len(problems) == count
    assert all(p.answer and p.text for p in problems)
    assert {i: problems[i].answer for i in answers} == answers
    if layout == "aime":
        assert all(int(number) < 1000 for p in problems for number in p.answer.split(" or "))
        assert [p.answer for p in problems if " or " in p.answer] == (["80 or 81"] if "test" in file else [])
    if layout == "gsm8k":
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", p.answer) for p in problems)
    write_problems(problems, tmp_path / "prepared.jsonl")
    assert read_problems(tmp_path / "prepared.jsonl") == problems


@pytest.mark.parametrize("file", REAL)
def test_a_broken_line_of_a_real_file_is_named(file: str, tmp_path: Path) -> None:
    layout, count, _ = REAL[file]
    lines = real_file(file).read_bytes().splitlines(keepends=True)
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join([*lines[:-1], lines[-1][: len(lines[-1]) // 2]]))
    with pytest.raises(InputError, match=rf"broken\.jsonl:{count}: not valid JSON"):
        load_dataset("real", file_dataset(path, layout))


def test_limit_takes_the_first_and_reads_no_further(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [*OWN["gsm8k"][:2], "not JSON\n"])
    assert [p.answer for p in load_dataset("mine", file_dataset(path, "gsm8k", limit=2))] == ["5", "1600"]


@pytest.mark.parametrize(
    ("layout", "line", "said"),
    [
        ("gsm8k", "{not JSON\n", "not valid JSON"),
        ("gsm8k", "[1, 2]\n", "expected a JSON object"),
        ("gsm8k", {"answer": "#### 5"}, "no problem in 'question'"),
        ("gsm8k", {"question": " ", "answer": "#### 5"}, "no problem in 'question'"),
        ("gsm8k", {"question": "Why?", "answer": "no mark 5"}, "no reference answer.*'####'"),
        ("gsm8k", {"question": "Why?", "answer": "####  "}, "no reference answer.*'####'"),
        ("gsm8k", {"question": "Why?"}, "no reference answer"),
        ("math", {"problem": "Why?", "solution": r"cut off \boxed{5"}, "no reference answer.*boxed"),
        ("math", {"problem": "Why?", "solution": None, "answer": None}, "no reference answer"),
        ("aime", {"problem": "Why?", "solution": "1000"}, "no reference answer.*0 to 999"),
        ("aime", {"problem": "Why?", "solution": "x=5"}, "no reference answer.*0 to 999"),
        ("aime", {"problem": "Why?", "solution": True}, "no reference answer"),
        ("math", {"answer": "5"}, "no problem in 'problem' or 'question'"),
        ("olympiadbench", {"question": "Why?", "final_answer": None}, "no reference answer.*list of strings"),
        ("olympiadbench", {"question": "Why?", "final_answer": ["$ $"]}, "no reference answer.*list of strings"),
        ("olympiadbench", {"question": "Why?", "final_answer": "1"}, "no reference answer.*list of strings"),
    ],
)
def test_a_broken_line_is_named(layout: str, line: Any, said: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "broken.jsonl", [OWN[layout][0], "\n", line])
    with pytest.raises(InputError, match=said) as caught:
        load_dataset("mine", file_dataset(path, layout))
    assert str(caught.value).startswith(f"{path}:{2 + 1}: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08\x00", "a gzip archive; unpack it"),
        ('{"question": "Why?"}'.encode("utf-16"), "UTF-16; convert it to UTF-8"),
        ('{"question": "Caf\u00e9?"}'.encode("latin-1"), r"not UTF-8 \(byte 0xe9 at column 18\)"),
        (b'{"question": "half \\ud835", "answer": "#### 5"}', "holds half a character"),
        (b'{"question": "Why?", "answer": ' + b"9" * 5000 + b"}", "an integer of thousands of digits"),
        (b'{"question": ' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON nested too deeply"),
        (b'{"question": "Why?", "answer": "#### 5", "answer": "#### 6"}', "the key 'answer' is there twice"),
        (b'[\n{"question": "Why?", "answer": "#### 5"}\n]', "a JSON array over several lines; expected JSON lines"),
        (b'[{"question": "Why?", "answer": "#### 5"}]', "found list; expected JSON lines"),
        (b'{"question": "How much is \\frac12?", "answer": "#### 5"}', "the control sign U[+]000C"),
        (b'{"question": "Why?", "answer": "#### 5\\u0000"}', "the control sign U[+]0000"),
    ],
)
def test_text_from_outside_passes_one_door(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_dataset("mine", file_dataset(path, "gsm8k"))
    assert str(caught.value).startswith(f"{path}:1: ")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_carriage_returns_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    lines = [json.dumps(record) for record in OWN["gsm8k"]]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert [p.answer for p in load_dataset("mine", file_dataset(path, "gsm8k"))] == ANSWERS["gsm8k"]


@pytest.mark.parametrize(
    ("value", "answer"), [(27.0, "27"), (3.5, "3.5"), (-0.25, "-0.25"), (1e-7, "1e-07"), (4, "4"), ("4.0", "4.0")]
)
def test_answers_may_be_numbers(value: Any, answer: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [{"problem": "Why?", "answer": value}])
    assert [p.answer for p in load_dataset("mine", file_dataset(path, "math"))] == [answer]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, [], {}])
def test_what_is_no_finite_number_is_no_answer(value: Any, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [{"problem": "Why?", "answer": value}])
    with pytest.raises(InputError, match="no reference answer"):
        load_dataset("mine", file_dataset(path, "math"))


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"They are $\boxed{3}$ and $\boxed{-3}$.", "3, -3"),
        (r"So the root is $\boxed 2$.", "2"),
        (r"First $\boxed{2}$, hence $\boxed{8}$.", "8"),
        (r"Put it in \boxed{}: \boxed{6}.", "6"),
    ],
)
def test_the_answer_of_a_solution_is_what_its_last_boxes_hold(solution: str, answer: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [{"problem": "Why?", "solution": solution}])
    assert [p.answer for p in load_dataset("mine", file_dataset(path, "math"))] == [answer]


def test_olympiadbench_brings_a_context_and_a_tolerance(tmp_path: Path) -> None:
    records = [
        {"question": "How far?", "context": "A cart rolls.", "final_answer": ["$2.5$"], "error": "1e-1"},
        {"question": "Which two?", "context": None, "final_answer": ["$1$,$-1$"], "error": None},
    ]
    far, two = load_dataset("mine", file_dataset(write_lines(tmp_path / "own.jsonl", records), "olympiadbench"))
    assert (far.text, far.answer, far.tolerance) == ("A cart rolls.\n\nHow far?", "2.5", "1e-1")
    assert (two.text, two.answer, two.tolerance) == ("Which two?", "1,-1", "")
    with pytest.raises(InputError, match=r"own.jsonl:1: 'error' is 'some', expected a positive number"):
        path = write_lines(tmp_path / "own.jsonl", [records[0] | {"error": "some"}])
        load_dataset("mine", file_dataset(path, "olympiadbench"))


def test_rows_that_cannot_be_used_are_left_out_by_id(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [*OWN["math"], {"problem": "Why?", "unique_id": "a/9"}])
    spec = file_dataset(path, "math", leave_out=["a/9", "a/1", "4"])  # the fourth has no id: its line counts
    assert [p.answer for p in load_dataset("mine", spec)] == ["5", "8"]
    with pytest.raises(InputError, match="no row has the id 'b/1', which leave_out names"):
        load_dataset("mine", file_dataset(path, "math", leave_out=["a/9", "b/1"]))


def test_the_message_says_how_to_leave_a_row_out(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [{"problem": "Why?", "unique_id": "a/9"}])
    with pytest.raises(InputError, match=r"leave it out \(datasets.mine.leave_out: \['a/9'\]\)"):
        load_dataset("mine", file_dataset(path, "math"))


def test_a_wrong_layout_is_suspected_in_the_message(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", OWN["gsm8k"])
    with pytest.raises(InputError, match="check that 'aime' is the layout"):
        load_dataset("mine", file_dataset(path, "aime"))


def test_the_same_problem_twice_names_both_lines(tmp_path: Path) -> None:
    again = {"question": "  ann has 2 hats  and buys 3. HOW many?", "answer": "#### 6"}
    path = write_lines(tmp_path / "own.jsonl", [*OWN["gsm8k"], again])
    with pytest.raises(InputError, match=r"own\.jsonl:4: the same problem as .*own\.jsonl:1;"):
        load_dataset("mine", file_dataset(path, "gsm8k"))


@pytest.mark.parametrize(("content", "said"), [("", "holds no problems"), (None, "no such file")])
def test_an_empty_or_missing_file(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=said):
        load_dataset("mine", file_dataset(path, "gsm8k"))


def test_a_repeated_problem_is_kept_for_later_where_that_is_allowed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [*OWN["gsm8k"], OWN["gsm8k"][0]])
    problems = load_dataset("mine", file_dataset(path, "gsm8k", repeated="drop"))
    assert [p.answer for p in problems] == [*ANSWERS["gsm8k"], "5"]  # `leave_out` counts and drops it


AIME = ["1983-15", "1984-1", "1998-2", "1999-3", "2000-I-1", "2000-II-2", "2024-I-10", "2024-II-15"]


@pytest.mark.parametrize(("part", "indices"), [("train", [1, 2, 4, 6]), ("test", [0, 3, 5, 7]), (None, list(range(8)))])
def test_aime_is_split_by_the_rule_of_the_paper(part: str | None, indices: list[int], tmp_path: Path) -> None:
    records = [{"ID": id, "problem": f"Why {id}?", "solution": str(i)} for i, id in enumerate(AIME)]
    path = write_lines(tmp_path / "own.jsonl", records)
    problems = load_dataset("mine", file_dataset(path, "aime", part=part))
    assert [int(p.answer) for p in problems] == indices
    limited = load_dataset("mine", file_dataset(path, "aime", part=part, limit=3))
    assert limited == problems[:3]


@pytest.mark.parametrize("id", ["1983", "2000-1", "1999-I-1", "2001-III-1", None, 1983])
def test_an_aime_problem_of_no_known_paper_is_refused(id: Any, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", [{"ID": id, "problem": "Why?", "solution": "1"}])
    with pytest.raises(InputError, match=r"own\.jsonl:1: 'ID' is .*, expected one like 1983-1 or 2000-II-1"):
        load_dataset("mine", file_dataset(path, "aime", part="test"))


def test_the_rule_finds_the_halves_of_the_real_files(tmp_path: Path) -> None:
    files = {half: real_file(f"aime/{half}.jsonl") for half in ("train", "test")}
    both = tmp_path / "both.jsonl"
    both.write_bytes(b"".join(path.read_bytes() for path in files.values()))
    for half, path in files.items():
        mine = load_dataset("real", file_dataset(both, "aime", part=half))
        assert mine == load_dataset("real", file_dataset(path, "aime"))


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "own.jsonl", OWN["gsm8k"])
    assert source_digest(file_dataset(path, "gsm8k")) == hashlib.sha256(path.read_bytes()).hexdigest()


# --- hub --------------------------------------------------------------------------------


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the datasets library off the network and out of the user's cache."""
    datasets = pytest.importorskip("datasets")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def hub_dataset(path: Path | str, layout: str, **changes: Any) -> FileDataset:
    return file_dataset(Path(path), layout, source="hub", **changes)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("layout", ["gsm8k", "aime"])
def test_reads_a_local_copy_of_a_hub_dataset(layout: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    first = OWN[layout][0]  # a hub dataset has the same fields, of one type, in every record
    records = [r for r in OWN[layout] if set(r) == set(first) and all(isinstance(value, str) for value in r.values())]
    write_lines(copy / "train.jsonl", records[:1])
    write_lines(copy / "test.jsonl", records[1:])

    def answers(**changes: Any) -> list[str]:
        problems: list[Problem] = load_dataset("mine", hub_dataset(copy, layout, **changes))
        return [p.answer for p in problems]

    expected = ANSWERS[layout][: len(records)]
    assert answers() == expected[1:]
    assert answers(hub_split="train") == expected[:1]
    assert answers(limit=1) == expected[1:2]


@pytest.mark.usefixtures("no_network")
def test_the_digest_of_a_hub_dataset_is_that_of_its_records(tmp_path: Path) -> None:
    digests = []
    for count in (3, 3, 2):
        copy = tmp_path / f"copy {len(digests)}"
        copy.mkdir()
        write_lines(copy / "test.jsonl", OWN["gsm8k"][:count])
        digests.append(source_digest(hub_dataset(copy, "gsm8k")))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.usefixtures("no_network")
def test_a_broken_row_of_a_hub_dataset_is_named(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    write_lines(copy / "test.jsonl", [OWN["gsm8k"][0], {"question": "Why?", "answer": "no mark"}])
    with pytest.raises(InputError, match=r"copy\[test\] row 1: no reference answer"):
        load_dataset("mine", hub_dataset(copy, "gsm8k"))


@pytest.mark.usefixtures("no_network")
def test_a_hub_dataset_out_of_reach_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody/nothing: cannot load split 'test'.*local copy") as caught:
        load_dataset("mine", hub_dataset("nobody/nothing", "gsm8k", revision="0" * 40))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_an_unknown_split_of_a_hub_dataset_is_one_clear_error(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    write_lines(copy / "test.jsonl", OWN["gsm8k"])
    with pytest.raises(InputError, match="cannot load split 'validation'"):
        load_dataset("mine", hub_dataset(copy, "gsm8k", hub_split="validation"))
