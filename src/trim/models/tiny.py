"""The tiny language models of the embedded experiment: architecture, tokenizer, chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING, Any

from trim.config.models import Architecture

if TYPE_CHECKING:
    from transformers import Qwen2Config, Qwen2Tokenizer

PAD, USER, ASSISTANT, END, STEP_TAG = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>", "<extra_0>"
_SPECIALS = (PAD, USER, ASSISTANT, END, STEP_TAG)
_SYMBOLS = " :*+-=!?,{}\\\n"
# "next" stands before "one": both hold "ne", and the earlier word's merges win.
_WORDS = ("From", " take", " add", " times", "now", " work", " out", " the", " next", " one", "\\boxed", "\n\n")
_BYTE_LEVEL = {" ": "Ġ", "\n": "Ċ"}
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONTEXT = 2048
_CONFIG = {
    "add_prefix_space": None,
    "backend": "tokenizers",
    "bos_token": None,
    "clean_up_tokenization_spaces": False,
    "eos_token": END,
    "extra_special_tokens": [USER, ASSISTANT, STEP_TAG],
    "model_max_length": CONTEXT,
    "pad_token": PAD,
    "tokenizer_class": "Qwen2Tokenizer",
    "unk_token": PAD,
}
"""What transformers writes of it beside `tokenizer.json`."""


def build_tokenizer() -> Qwen2Tokenizer:
    """Build the tokenizer: Qwen2's byte-level BPE with one token for each digit, letter, sign and known word.

    Words are merged from their end, so that no merge ever joins a space and a label.
    """
    from transformers import Qwen2Tokenizer

    characters = dict.fromkeys(_BYTE_LEVEL.get(c, c) for c in (*digits, *ascii_lowercase, "F", *_SYMBOLS))
    merges: dict[tuple[str, str], None] = {}
    for word in _WORDS:
        pieces = [_BYTE_LEVEL.get(c, c) for c in word]
        for start in range(len(pieces) - 2, -1, -1):
            merges[pieces[start], "".join(pieces[start + 1 :])] = None
    vocabulary = dict.fromkeys((*_SPECIALS, *characters, *("".join(pair) for pair in merges)))
    return Qwen2Tokenizer(
        vocab={piece: i for i, piece in enumerate(vocabulary)},
        merges=list(merges),  # type: ignore[arg-type]  # pairs, whatever the annotation says
        pad_token=PAD,
        unk_token=PAD,
        eos_token=END,
        extra_special_tokens=[USER, ASSISTANT, STEP_TAG],
        chat_template=_CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )


class TinyTokenizer:
    """What `build_tokenizer` makes, from its folder, as far as readers and writers ask for it.

    Most jobs of the embedded experiment compute for seconds; importing the tokenizers of transformers takes almost one.
    """

    chat_template = _CHAT_TEMPLATE

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.name_or_path = str(folder)
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.added_tokens_decoder: Mapping[int, Any] = self._tokenizer.get_added_tokens_decoder()
        self.eos_token_id = self.convert_tokens_to_ids(END)

    @classmethod
    def find(cls, folder: Path) -> TinyTokenizer | None:
        """Return the tokenizer of a folder, if all that the folder says of it is what `build_tokenizer` does."""
        files = [folder / name for name in ("chat_template.jinja", "tokenizer_config.json", "tokenizer.json")]
        if not all(file.is_file() for file in files):
            return None
        template, config = (file.read_text(encoding="utf-8") for file in files[:2])
        return cls(folder) if template == _CHAT_TEMPLATE and json.loads(config) == _CONFIG else None

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = False, **_: Any
    ) -> str:
        """Render the chat template, which has no options."""
        said = ""
        for message in messages:
            said += f"<|{message['role']}|>{message['content']}" + (END if message["role"] == "assistant" else "")
        return said + (ASSISTANT if add_generation_prompt else "")

    def encode(self, text: str, *, add_special_tokens: bool = False, split_special_tokens: bool = False) -> list[int]:
        """Return the tokens of a text; nothing is ever added to them."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of tokens."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def convert_tokens_to_ids(self, token: str) -> int:
        """Return the number of a token; what is none counts as padding, as in `build_tokenizer`."""
        number = self._tokenizer.token_to_id(token)
        return int(self._tokenizer.token_to_id(PAD) if number is None else number)


def build_config(architecture: Architecture, tokenizer: Qwen2Tokenizer) -> Qwen2Config:
    """Build the Qwen2 configuration of a shape."""
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=architecture.hidden_size,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.heads,
        intermediate_size=architecture.intermediate_size,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
