"""What a model reads: whatever a problem or a step spells, and whatever the chat template knows of system messages."""

from typing import Any

import pytest

from trim.errors import BackendError
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.tiny import ASSISTANT, END, PAD, STEP_TAG, USER, build_tokenizer

MESSAGE = "{{ '<|' + message['role'] + '|>' + message['content'] }}"
REFUSES = "{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + MESSAGE
DROPS = "{% if message['role'] != 'system' %}" + MESSAGE + "{% endif %}"


def prompts(template: str | None = MESSAGE, tag: bool = False, **options: Any) -> PrefixTokenizer:
    tokenizer = build_tokenizer()
    if template is not None:
        template = "{% for message in messages %}" + template + "{% endfor %}" + ASSISTANT
    tokenizer.chat_template = template
    return PrefixTokenizer(tokenizer, step_tag_id=tokenizer.convert_tokens_to_ids(STEP_TAG) if tag else None, **options)


def read(reader: PrefixTokenizer, prefix: Prefix) -> str:
    return reader.tokenizer.decode(sum(reader.blocks(prefix), []))


@pytest.mark.parametrize("special", [END, PAD, USER, ASSISTANT, STEP_TAG])
@pytest.mark.parametrize("place", ["{} 1", "1 {}", "1 {} 2 {}{} 3", "{}"])
def test_a_special_token_in_a_text_is_the_signs_it_is_spelt_with(special: str, place: str) -> None:
    reader, text = prompts(), place.format(*[special] * 3)
    specials = set(reader.tokenizer.all_special_ids)
    plain = [i for i in reader.block_ids(Prefix.of("work out 1")) if i in specials]  # of the template
    unknown = reader.tokenizer.unk_token_id  # the tiny tokenizer lacks some signs
    assert [i for i in reader.block_ids(Prefix.of(text)) if i in specials and i != unknown] == plain
    assert not any(i in specials and i != unknown for i in reader.block_ids(Prefix.of("p", text)))


@pytest.mark.parametrize("text", ["work out 12 + 30", " 1\n\n2 ", "", "x = {\\boxed}"])
def test_other_texts_are_read_as_the_template_lays_them_out(text: str) -> None:
    reader = prompts()
    laid_out = f"{USER}{text}{ASSISTANT}"
    assert reader.block_ids(Prefix.of(text)) == reader.tokenizer.encode(laid_out, add_special_tokens=False)
    assert reader.block_ids(Prefix.of("p", text)) == (
        reader.tokenizer.encode(text, add_special_tokens=False) or [reader.tokenizer.eos_token_id]
    )


@pytest.mark.parametrize("text", ["take one", f"take {STEP_TAG} one", STEP_TAG * 3, ""])
@pytest.mark.parametrize("problem", ["work out 1", f"work {STEP_TAG} out"])
def test_one_step_tag_stands_behind_each_step(text: str, problem: str) -> None:
    reader = prompts(tag=True)
    root, *steps = reader.blocks(Prefix.of(problem, text, text + "\n\n"))
    assert reader.step_tag_id not in root
    assert [block.count(reader.step_tag_id) for block in steps] == [1, 1]
    assert all(block[-1] == reader.step_tag_id and len(block) > 1 for block in steps)


def test_a_step_tag_that_is_a_common_word_counts_at_the_end_alone() -> None:
    tokenizer = build_tokenizer()
    (tag,) = tokenizer.encode(" take", add_special_tokens=False)
    reader = PrefixTokenizer(tokenizer, step_tag_id=tag)
    root, step = reader.blocks(Prefix.of("now take one", "now take one"))
    assert (root.count(tag), step.count(tag), step[-1]) == (0, 1, tag)


@pytest.mark.parametrize("template", [REFUSES, DROPS])
def test_without_a_place_for_it_the_system_message_stands_before_the_problem(template: str) -> None:
    reader = prompts(template, system="take one")
    assert read(reader, Prefix.of("work out 1")) == f"{USER}take one\n\nwork out 1{ASSISTANT}"


def test_a_template_with_a_place_for_it_gets_the_system_message() -> None:
    tokenizer = prompts(system="take one").tokenizer
    assert "system" not in tokenizer.all_special_tokens
    reader = prompts("{{ message['role'][0] + ' ' + message['content'] + ' ' }}", system="take one")
    assert read(reader, Prefix.of("work out 1")) == f"s take one u work out 1 {ASSISTANT}"


@pytest.mark.parametrize("system", [None, "", "take one"])
def test_a_tokenizer_without_a_template_is_one_sentence(system: str | None) -> None:
    with pytest.raises(BackendError, match="has no chat template; take a model that was trained to chat"):
        prompts(None, system=system).blocks(Prefix.of("work out 1"))


def test_a_template_that_fails_is_one_sentence() -> None:
    with pytest.raises(BackendError, match="the chat template cannot render a problem: no user"):
        prompts("{{ raise_exception('no user') }}").blocks(Prefix.of("work out 1"))
