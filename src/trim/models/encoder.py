"""Texts as vectors: a transformers encoder read by mean-pooling, and classifiers fine-tuned from one.

Any folder or hub name that `AutoModel` loads will do; the embedded experiment takes its weak model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trim.arrays import Floats, Singles
from trim.checksums import check_folder, sum_folder
from trim.config.models import Precision
from trim.config.routers import EncoderTuning
from trim.errors import BackendError
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.ragged import RaggedReader
from trim.models.training import batched, seed_torch
from trim.models.transformers_backend import load_model

logger = logging.getLogger(__name__)

LONGEST_TEXT = 512
"""Tokens of a text that are read (RouteLLM's BERT classifier reads as many)."""

BATCH_TEXTS = 64
WEIGHT_DECAY = 0.01
HEAD_FILE, SHAPE_FILE = "head.safetensors", "classifier.json"


class Encoder(nn.Module):
    """A model and its tokenizer, which map a text to the mean of its tokens' last hidden states."""

    def __init__(self, name: str | Path, *, revision: str | None = None, device: str = "cpu") -> None:
        super().__init__()
        model, self.tokenizer = _load(name, revision, device)
        self.model = model.float()  # small steps of fine-tuning are lost in half precision
        self.tokenizer.padding_side = "right"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @property
    def width(self) -> int:
        """Size of a vector."""
        return int(self.model.config.hidden_size)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return vectors of shape (texts, width)."""
        batch = self.tokenizer(
            [self._rendered(text) for text in texts],
            padding=True,
            truncation=True,
            max_length=LONGEST_TEXT,
            return_tensors="pt",
        ).to(self.model.device)
        mask = batch["attention_mask"]
        hidden = self.model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state.float()
        summed = (hidden * mask[:, :, None]).sum(1)
        return torch.as_tensor(summed / mask.sum(1, keepdim=True).clamp(min=1))

    def _rendered(self, text: str) -> str:
        """Lay a text out as a chat model is used to reading it; other encoders take it as it is."""
        if self.tokenizer.chat_template is None:
            return text
        chat = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Singles:
        """Return vectors of shape (texts, width), read in batches of texts of like length."""
        self.eval()
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for part in batched(sorted(range(len(texts)), key=lambda i: len(texts[i])), BATCH_TEXTS):
            vectors[list(part)] = self([texts[i] for i in part]).cpu().numpy()
        return vectors


class RaggedEncoder:
    """A real chat model in bf16 that maps texts as `Encoder` does: unpadded, and not to be trained."""

    def __init__(self, name: str | Path, *, revision: str | None = None, device: str = "cpu") -> None:
        model, tokenizer = _load(name, revision, device, "bfloat16")
        self._reader = RaggedReader(model, PrefixTokenizer(tokenizer), outputs="hidden")

    def embed(self, texts: Sequence[str]) -> Singles:
        """Return vectors of shape (texts, width)."""
        means = self._reader.mean_hidden(Prefix.of(text) for text in texts)
        return np.asarray(torch.stack(list(means)).cpu().numpy(), dtype=np.float32)


def _load(name: str | Path, revision: str | None, device: str, dtype: Precision | None = None) -> tuple[Any, Any]:
    """Load a model without head, and its tokenizer."""
    check_folder(Path(name))
    try:
        return load_model(name, head=False, revision=revision, device=device, offline=Path(name).is_dir(), dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"{name}: no encoder that can be loaded ({reason}); see routers.query.encoder") from error


class TextClassifier(nn.Module):
    """An encoder with several heads, each of which sorts texts into the same number of classes."""

    def __init__(self, encoder: Encoder, heads: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.shape = (heads, classes)
        self.head = nn.Linear(encoder.width, heads * classes).to(encoder.model.device)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return logits of shape (texts, heads, classes)."""
        return torch.as_tensor(self.head(self.encoder(texts)).unflatten(1, self.shape))

    @torch.inference_mode()
    def predict(self, texts: Sequence[str]) -> Floats:
        """Return probabilities of shape (texts, heads, classes)."""
        self.eval()
        logits = [self(part) for part in batched(texts, BATCH_TEXTS)]
        return np.asarray(torch.softmax(torch.cat(logits).double(), -1).cpu().numpy())

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder, and the heads beside it."""
        self.encoder.model.save_pretrained(folder)
        self.encoder.tokenizer.save_pretrained(folder)
        save_file(self.head.state_dict(), folder / HEAD_FILE)
        (folder / SHAPE_FILE).write_text(json.dumps({"shape": self.shape}) + "\n", encoding="utf-8")
        sum_folder(folder)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> TextClassifier:
        """Read what `save` wrote."""
        shape = json.loads((folder / SHAPE_FILE).read_text(encoding="utf-8"))["shape"]
        classifier = cls(Encoder(folder, device=device), *shape)
        classifier.head.load_state_dict(load_file(folder / HEAD_FILE, device=device))
        return classifier


def fine_tune(
    encoder: Encoder,
    train: tuple[Sequence[str], Floats],
    dev: tuple[Sequence[str], Floats],
    settings: EncoderTuning,
    seed: str,
) -> TextClassifier:
    """Train an encoder and new heads on soft labels; the epoch with the lowest loss on dev is kept.

    Parameters
    ----------
    encoder
        Where training starts; it is changed.
    train, dev
        Texts, and how likely each class is: shape (texts, heads, classes), summing to one over classes.
    seed
        What heads and the order of texts are drawn from.
    """
    seed_torch(seed)
    texts, labels = train
    classifier = TextClassifier(encoder, *labels.shape[1:])
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY)
    best: tuple[float, dict[str, Any]] = np.inf, classifier.state_dict()
    for epoch in range(settings.epochs):
        classifier.train()
        for part in batched(torch.randperm(len(texts)).tolist(), settings.batch_size):
            optimiser.zero_grad()
            _loss(classifier, [texts[i] for i in part], labels[list(part)]).backward()
            optimiser.step()
        classifier.eval()
        with torch.inference_mode():
            parts = [list(part) for part in batched(range(len(dev[0])), BATCH_TEXTS)]
            losses = [float(_loss(classifier, [dev[0][i] for i in part], dev[1][part])) * len(part) for part in parts]
        loss = sum(losses) / len(dev[0])
        logger.info("epoch %d: loss %.4f on dev", epoch + 1, loss)
        if loss < best[0]:
            best = loss, {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    classifier.load_state_dict(best[1])
    return classifier.eval()


def _loss(classifier: TextClassifier, texts: Sequence[str], labels: Floats) -> torch.Tensor:
    logits = classifier(texts).flatten(0, 1)
    target = torch.as_tensor(labels, dtype=torch.float32, device=logits.device).flatten(0, 1)
    return nn.functional.cross_entropy(logits, target)
