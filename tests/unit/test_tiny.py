"""The tokenizer and chat template of the tiny models."""

import random
from pathlib import Path
from typing import Any

import pytest

from trim.config.datasets import ArithmeticFamily
from trim.config.experiment import Experiment
from trim.config.models import Architecture
from trim.models.tiny import ASSISTANT, CONTEXT, END, STEP_TAG, USER, build_config
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
