"""Encoders: what a text's vector is, and classifiers fine-tuned from them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trim.config.routers import EncoderTuning
from trim.errors import BackendError
from trim.models.encoder import Encoder, TextClassifier, fine_tune

TEXTS = [f"{i} {'a*9' if i % 2 else 'a+1 b+2'}?" for i in range(64)]
LABELS = np.eye(2)[[i % 2 for i in range(64)]][:, None]


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a BERT with random weights: no chat template, no causal mask."""
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "bert"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789ab+*?", *(f"##{c}" for c in "0123456789")]
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(pieces), **sizes)).save_pretrained(folder)
    return folder


def test_a_vector_is_the_mean_over_the_texts_own_tokens(model_folders: dict[str, Path]) -> None:
    encoder = Encoder(model_folders["weak"])
    vectors = encoder.embed(TEXTS)
    assert vectors.shape == (64, 32)
    for i in (0, 1, 63):
        chat = [{"role": "user", "content": TEXTS[i]}]
        ids = encoder.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        with torch.inference_mode():
            hidden = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state
        np.testing.assert_allclose(vectors[i], hidden[0].mean(0).numpy(), atol=1e-5)
    np.testing.assert_allclose(encoder.embed(TEXTS[::-1])[::-1], vectors, atol=1e-5)


def test_an_encoder_without_a_chat_template_reads_the_text_as_it_is(bert_folder: Path) -> None:
    encoder = Encoder(bert_folder)
    assert encoder.tokenizer.chat_template is None
    vectors = encoder.embed([*TEXTS, "7 b*3? " * 400])  # longer than what is read
    assert vectors.shape == (65, 16)
    assert np.isfinite(vectors).all()
    ids = encoder.tokenizer(TEXTS[5])["input_ids"]
    with torch.inference_mode():
        hidden = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state
    np.testing.assert_allclose(vectors[5], hidden[0].mean(0).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["weak", "bert"])
def test_fine_tuning_learns_and_comes_back_from_disk(
    kind: str, model_folders: dict[str, Path], bert_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder({**model_folders, "bert": bert_folder}[kind])
    settings = EncoderTuning(epochs=8, learning_rate=1e-2, batch_size=8)
    labels = np.concatenate([LABELS, LABELS[:, :, ::-1]], axis=1)  # the second head learns the opposite
    classifier = fine_tune(encoder, (TEXTS[:48], labels[:48]), (TEXTS[48:], labels[48:]), settings, "seed")
    found = classifier.predict(TEXTS)
    assert found.shape == (64, 2, 2)
    np.testing.assert_allclose(found.sum(axis=2), 1)
    assert (found.argmax(axis=2) == labels.argmax(axis=2))[48:].mean() > 0.9
    classifier.save(tmp_path)
    np.testing.assert_array_equal(TextClassifier.load(tmp_path).predict(TEXTS), found)


def test_what_is_no_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no encoder that can be loaded \([^\n]*\); see routers.query.encoder$"):
        Encoder(tmp_path)
