"""The tokenizer and chat template of the tiny models."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from trim.config.datasets import ArithmeticFamily
from trim.config.experiment import Experiment
from trim.config.models import Architecture
from trim.models.tiny import ASSISTANT, CONTEXT, END, PAD, STEP_TAG, USER, TinyTokenizer, build_config
from trim.models.training import IGNORED, SolutionStream
from trim.problems.arithmetic import draw_program, step_labels

FAMILIES = Experiment().datasets


def texts(name: str, count: int) -> list[tuple[str, list[str]]]:
    rng = random.Random(7)
    programs = [draw_program(FAMILIES[name], rng) for _ in range(count)]
    return [(program.render(FAMILIES[name].wording), program.steps()) for program in programs]


@pytest.mark.parametrize("name", FAMILIES)
def test_all_texts_of_a_family_come_back_from_their_tokens(tokenizer: Any, name: str) -> None:
    for problem, steps in texts(name, 150):
        for text in (problem, "".join(steps), *steps):
            ids = tokenizer.encode(text, add_special_tokens=False)
            assert tokenizer.decode(ids) == text
            assert not set(ids) & set(tokenizer.all_special_ids)


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_tokenised_one_by_one_are_the_tokens_of_the_whole(tokenizer: Any, name: str) -> None:
    for _, steps in texts(name, 100):
        whole = tokenizer.encode("".join(steps))
        assert sum((tokenizer.encode(step) for step in steps), []) == whole


def test_the_longest_answer_is_as_long_as_the_config_says(tokenizer: Any) -> None:
    family = ArithmeticFamily(min_steps=9, max_steps=9, answer="all", p_slip=0.1)
    answer = "91! \\boxed{" + "".join(f"{label}{10 + i}" for i, label in enumerate("abcdefghi")) + "}"
    assert len(tokenizer.encode(answer)) + 1 == family.longest_answer
    assert tokenizer.decode(tokenizer.encode(answer)) == answer


def test_digits_and_labels_are_tokens_of_their_own(tokenizer: Any) -> None:
    assert tokenizer.tokenize("97 a*3?") == ["9", "7", "Ġ", "a", "*", "3", "?"]
    assert tokenizer.decode(tokenizer.encode("\n\n")[0]) == "\n\n"
    assert len(tokenizer.encode("now work out the next one ")) == 7


def test_the_chat_template_ends_where_the_solution_begins(tokenizer: Any) -> None:
    asked = [{"role": "user", "content": "9 a+1?"}]
    assert tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False) == (
        f"{USER}9 a+1?{ASSISTANT}"
    )
    answered = [*asked, {"role": "assistant", "content": "a:9+1=10\n\n"}]
    assert tokenizer.apply_chat_template(answered, tokenize=False) == f"{USER}9 a+1?{ASSISTANT}a:9+1=10\n\n{END}"


def test_special_tokens_are_one_token_each(tokenizer: Any) -> None:
    specials = [tokenizer.pad_token, USER, ASSISTANT, END, STEP_TAG]
    ids = [tokenizer.encode(token, add_special_tokens=False) for token in specials]
    assert [len(i) for i in ids] == [1] * 5
    assert len({i[0] for i in ids}) == 5
    assert tokenizer.eos_token == END
    assert tokenizer.decode(sum(ids, []), skip_special_tokens=True) == ""


def test_a_folder_loads_as_any_hugging_face_model(model_folders: dict[str, Path], tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = model_folders["strong"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert (model.config.num_hidden_layers, model.config.max_position_embeddings) == (2, CONTEXT)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.get_vocab() == tokenizer.get_vocab()
    for problem, steps in texts("arith-words", 20):
        assert loaded.encode(problem + "".join(steps)) == tokenizer.encode(problem + "".join(steps))
    assert not list(folder.glob("*.bin"))


@pytest.fixture(scope="module")
def both(model_folders: dict[str, Path]) -> tuple[Any, TinyTokenizer]:
    """The tokenizer of a folder, with transformers and without."""
    from transformers import AutoTokenizer

    tiny = TinyTokenizer.find(model_folders["weak"])
    assert tiny
    return AutoTokenizer.from_pretrained(model_folders["weak"], local_files_only=True), tiny


ODD = ("\n\n", "a\r\nb", "Caf\u00e9 cafe\u0301", "\U0001f600 \u4e2d", "don't", "12345", "\\boxed{7}", "\ud7ff\x00")
SPELT = (PAD, USER, ASSISTANT, END, STEP_TAG, "From a take b\n\n")
SAID = st.lists(st.text() | st.sampled_from([*ODD, *SPELT])).map("".join)


@given(text=SAID)
@pytest.mark.parametrize("split", [False, True])
def test_a_text_has_the_same_tokens_without_transformers(both: Any, text: str, split: bool) -> None:
    theirs, ours = both
    ids = ours.encode(text, add_special_tokens=False, split_special_tokens=split)
    assert ids == theirs.encode(text, add_special_tokens=False, split_special_tokens=split)
    for skip in (False, True):
        assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(ids, skip_special_tokens=skip)
    assert [ours.decode([token]) for token in ids] == [theirs.decode([token]) for token in ids]


@given(said=st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), SAID), min_size=1), asks=st.booleans())
def test_a_conversation_is_laid_out_the_same_without_transformers(both: Any, said: Any, asks: bool) -> None:
    messages = [{"role": role, "content": content} for role, content in said]
    options = {"add_generation_prompt": asks, "tokenize": False, "enable_thinking": False}
    theirs, ours = (words.apply_chat_template(messages, **options) for words in both)
    assert ours == theirs


def test_tokens_have_the_same_names_without_transformers(both: Any) -> None:
    theirs, ours = both
    assert (ours.eos_token_id, ours.chat_template) == (theirs.eos_token_id, theirs.chat_template)
    for token in (*theirs.get_vocab(), "<|nobody|>"):
        assert ours.convert_tokens_to_ids(token) == theirs.convert_tokens_to_ids(token)
    specials = [
        {(number, token.content) for number, token in words.added_tokens_decoder.items() if token.special}
        for words in both
    ]
    assert specials[0] == specials[1]
    every = range(len(theirs))
    assert [ours.decode([number]) for number in every] == [theirs.decode([number]) for number in every]


def test_other_tokenizers_are_left_to_transformers(model_folders: dict[str, Path], tmp_path: Path) -> None:
    assert TinyTokenizer.find(tmp_path) is None
    for name in ("chat_template.jinja", "tokenizer_config.json", "tokenizer.json"):
        folder = shutil.copytree(model_folders["weak"], tmp_path / name)
        (folder / name).unlink()
        assert TinyTokenizer.find(folder) is None
    folder = shutil.copytree(model_folders["weak"], tmp_path / "another")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert TinyTokenizer.find(folder) is None


@pytest.mark.parametrize("more", [{"eos_token": PAD}, {"split_special_tokens": True}, {"model_max_length": 9}])
def test_a_folder_that_says_more_of_its_tokenizer_is_left_to_transformers(
    model_folders: dict[str, Path], tmp_path: Path, more: dict[str, Any]
) -> None:
    folder = shutil.copytree(model_folders["weak"], tmp_path / "more")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    assert TinyTokenizer.find(folder) is None


def test_a_text_is_never_cut_nor_filled_up(both: Any, model_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model_folders["weak"], tmp_path / "cut")
    cutting = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cutting.enable_truncation(3)
    cutting.enable_padding(length=20)
    cutting.save(str(folder / "tokenizer.json"))
    kept, text = TinyTokenizer.find(folder), "a: 12+30=42\n\n"
    assert kept and kept.encode(text) == both[1].encode(text) != cutting.encode(text).ids


def test_the_configuration_follows_the_shape(tokenizer: Any) -> None:
    config = build_config(Architecture(hidden_size=48, layers=3, heads=6, intermediate_size=100), tokenizer)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (48, 3, 6)
    assert (config.intermediate_size, config.num_key_value_heads) == (100, 6)
    assert config.vocab_size == len(tokenizer)
    assert (config.eos_token_id, config.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_slips_are_read_and_not_learned(tokenizer: Any) -> None:
    family = ArithmeticFamily(answer="all", p_slip=0.3)
    stream = SolutionStream(tokenizer, {"listed": family}, {"listed": 1.0}, 4, "0")
    hidden = 0
    for example in (example for batch in stream.batches() for example in batch):
        problem = tokenizer.decode(example.prompt).removeprefix(USER).removesuffix(ASSISTANT)
        *steps, box = tokenizer.decode(example.solution[:-1]).split("\n\n")
        wrong = step_labels(problem, [*(f"{step}\n\n" for step in steps), box]).count(False)
        read = [i for i, target in enumerate(example.targets) if target == IGNORED]
        assert all(tokenizer.decode([example.solution[i]]).isdigit() for i in read)
        assert sum(i - 1 not in read for i in read) == wrong
        assert all(example.targets[i] == token for i, token in enumerate(example.solution) if i not in read)
        hidden += wrong
    assert hidden > 50


def test_nothing_is_hidden_without_slips(tokenizer: Any) -> None:
    stream = SolutionStream(tokenizer, FAMILIES, {"arith": 0.5, "arith-words": 0.5}, 4, "0")
    assert all(example.targets == example.solution for batch in stream.batches() for example in batch)
