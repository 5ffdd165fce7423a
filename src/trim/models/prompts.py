"""What a model reads: a problem in its chat template, and the steps behind it, in the model's own tokens."""

from __future__ import annotations

from typing import Any

from trim.models.protocols import SEPARATOR, Prefix

REMEMBERED_BLOCKS = 100_000


class PrefixTokenizer:
    """Turns prefixes into tokens, block by block: the problem, then each step by itself.

    So the tokens of a prefix are those of its parent and some more, whoever wrote the steps.

    Parameters
    ----------
    tokenizer
        The model's tokenizer, with a chat template.
    step_tag_id
        Token appended to each step before it is read (a PRM's step tag), if any.
    system
        System message; None leaves it to the chat template.
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
        self._system = system
        self._thinking = thinking
        self._keeps_separator = keeps_separator
        self._ids: dict[bytes, list[int]] = {}

    def block_ids(self, prefix: Prefix) -> list[int]:
        """Tokens of the last step of a prefix, or of the rendered problem at its root."""
        ids = self._ids.get(prefix.digest)
        if ids is None:
            if prefix.parent is None:
                ids = self.render_problem(prefix.text)
            else:
                text = prefix.text if self._keeps_separator else prefix.text.removesuffix(SEPARATOR)
                # An empty step (end of sequence at once) still needs a token to be read at.
                ids = self.tokenizer.encode(text, add_special_tokens=False) or [self.tokenizer.eos_token_id]
                if self.step_tag_id is not None:
                    ids = [*ids, self.step_tag_id]
            if len(self._ids) >= REMEMBERED_BLOCKS:
                self._ids.clear()
            self._ids[prefix.digest] = ids
        return ids

    def render_problem(self, text: str) -> list[int]:
        """Tokens of the problem in the model's chat template, up to where the solution begins."""
        system = [{"role": "system", "content": self._system}] if self._system is not None else []
        rendered = self.tokenizer.apply_chat_template(
            [*system, {"role": "user", "content": text}],
            add_generation_prompt=True,
            tokenize=False,
            enable_thinking=self._thinking,
        )
        ids: list[int] = self.tokenizer.encode(rendered, add_special_tokens=False)
        return ids

    def blocks(self, prefix: Prefix) -> list[list[int]]:
        """Tokens of a prefix: of its problem, then of each step."""
        return [self.block_ids(node) for node in prefix.lineage()]

    def length(self, prefix: Prefix) -> int:
        """Return the number of tokens of a prefix."""
        return sum(map(len, self.blocks(prefix)))
