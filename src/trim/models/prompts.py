"""What a model reads: a problem in its chat template, and the steps behind it, in the model's own tokens."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from itertools import cycle
from typing import Any

from trim.errors import BackendError
from trim.models.protocols import SEPARATOR, Prefix

REMEMBERED_BLOCKS = 100_000


class PrefixTokenizer:
    """Turns prefixes into tokens, block by block: the problem, then each step by itself.

    So the tokens of a prefix are those of its parent and some more, whoever wrote the steps. A problem or step is
    plain text: where it spells a special token, such as the end of a message, it is read as the signs it is spelt with.

    Parameters
    ----------
    tokenizer
        The model's tokenizer, with a chat template.
    step_tag_id
        Token appended to each step before it is read (a PRM's step tag), if any.
    system
        System message; None leaves it to the chat template. Where a template has no place for one, it stands before
        the problem.
    thinking
        Value of the chat template's switch `enable_thinking`; templates without one ignore it.
    keeps_separator
        Whether a step keeps the blank line that ends it.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        step_tag_id: int | None = None,
        system: str | None = None,
        thinking: bool = False,
        keeps_separator: bool = True,
    ) -> None:
        self.tokenizer = tokenizer
        self.step_tag_id = step_tag_id
        self._tag = [] if step_tag_id is None else [step_tag_id]
        self._system = system
        self._thinking = thinking
        self._keeps_separator = keeps_separator
        self._ids: dict[tuple[bool, str], list[int]] = {}

    def block_ids(self, prefix: Prefix) -> list[int]:
        """Tokens of the last step of a prefix, or of the rendered problem at its root."""
        is_problem, text = key = prefix.parent is None, prefix.text
        ids = self._ids.get(key)
        if ids is None:
            ids = self._without_tag(self.render_problem(text)) if is_problem else self._step(text)
            if len(self._ids) >= REMEMBERED_BLOCKS:
                self._ids.clear()
            self._ids[key] = ids
        return ids

    def _step(self, text: str) -> list[int]:
        """Tokens of a step; an empty one (end of sequence at once) still needs a token to be read at."""
        ids = self._without_tag(self._plain(text if self._keeps_separator else text.removesuffix(SEPARATOR)))
        return [*(ids or [self.tokenizer.eos_token_id]), *self._tag]

    def _without_tag(self, ids: list[int]) -> list[int]:
        """Leave out the step tag, which stands behind each step, and nowhere else."""
        return [i for i in ids if i not in self._tag]

    def render_problem(self, text: str) -> list[int]:
        """Tokens of the problem in the model's chat template, up to where the solution begins.

        Raises
        ------
        BackendError
            The tokenizer has no chat template, or one that cannot render a problem.
        """
        specials = self._specials.findall(text)
        mark = next(sign for sign in map(chr, range(0xE000, 0xF900)) if sign not in text)  # of no meaning to a template
        first, *others = self._render(self._specials.sub(mark, text)).split(mark)
        ids = self._encode(first)
        for special, rest in zip(cycle(specials), others, strict=False):
            ids += self._plain(special) + self._encode(rest)
        return ids

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        """What spells a special token; matches nothing where there is none."""
        added = self.tokenizer.added_tokens_decoder.values()
        spelt = sorted((token.content for token in added if token.special), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, spelt)) or "(?!)")

    def _render(self, text: str) -> str:
        """Lay a problem out in the chat template."""
        if self._system is None:
            return self._apply(("user", text))
        rendered = ""
        with suppress(BackendError):
            rendered = self._apply(("system", self._system), ("user", text))
        if rendered and self._system.strip() in rendered:
            return rendered
        # A template without a place for a system message refuses it, or drops it without a word.
        return self._apply(("user", self._system + SEPARATOR + text))

    def _apply(self, *messages: tuple[str, str]) -> str:
        name = self.tokenizer.name_or_path
        if not self.tokenizer.chat_template:
            raise BackendError(f"{name}: the tokenizer has no chat template; take a model that was trained to chat")
        try:
            rendered: str = self.tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in messages],
                add_generation_prompt=True,
                tokenize=False,
                enable_thinking=self._thinking,
            )
        except Exception as error:  # a template is a program of the model's makers: it may raise anything
            raise BackendError(f"{name}: the chat template cannot render a problem: {error}") from None
        return rendered

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _plain(self, text: str) -> list[int]:
        """Tokens of a text in which nothing is a special token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def blocks(self, prefix: Prefix) -> list[list[int]]:
        """Tokens of a prefix: of its problem, then of each step."""
        return [self.block_ids(node) for node in prefix.lineage()]

    def length(self, prefix: Prefix) -> int:
        """Return the number of tokens of a prefix."""
        return sum(map(len, self.blocks(prefix)))


class SeparatedTokenizer(PrefixTokenizer):
    """Tokens as TRL's PRMTrainer makes them: the problem as it stands, and behind each step a separator.

    Parameters
    ----------
    separator
        `step_separator` of the training; a step is judged at its last token.
    """

    def __init__(self, tokenizer: Any, separator: str) -> None:
        super().__init__(tokenizer)
        self._separator = self._encode(separator)

    def render_problem(self, text: str) -> list[int]:
        """Tokens of the problem, without a chat template."""
        start = self.tokenizer.bos_token_id
        return [*([] if start is None else [start]), *self._plain(text)]

    def _step(self, text: str) -> list[int]:
        return [*self._plain(text.removesuffix(SEPARATOR)), *self._separator]
