"""Weights from GGUF files, as plain Hugging Face folders that transformers and vLLM load.

A GGUF file (llama.cpp's format) holds a whole model in one file, mostly in blocks of a few bits a weight. Here it
is dequantised once, to bf16: what reads it afterwards needs to know nothing of the format.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trim.errors import DamagedFile, InputError
from trim.files import read_json, write_json, written_aside

if TYPE_CHECKING:
    import gguf
    import torch

CONVERTER_VERSION = 1  # raised when a change here changes the folders
MANIFEST_FILE = "gguf.json"
STORED_PLAINLY = ("qwen2", "qwen3")
"""Architectures whose matrices llama.cpp stores as transformers has them (it permutes the rows of some others)."""

EMBEDDING, HEAD = "token_embd.weight", "output.weight"
SAME_MATRIX = 0.3
"""Mean difference, as a share of the mean weight, up to which embedding and head are one matrix, quantised twice.

Two independent matrices differ by about 1.4; those of the files of Qwen2.5-Coder by 0.05 (0.5B) and 0.08 (1.5B).
"""
COMPARED_ROWS = 2048
SHARD_SIZE = "1GB"


def convert_gguf(find: Callable[[], Path], sha256: str, folder: Path) -> None:
    """Dequantise a GGUF file to a Hugging Face folder in bf16; do nothing where that was done before.

    The folder is written whole or not at all. Memory: the model in bf16, and one shard.

    Parameters
    ----------
    find
        Returns the GGUF file, which may have to be fetched; not called where the folder holds its content already.
    sha256
        What the file must hash to.
    folder
        Where configuration, weights, tokenizer, chat template and generation config are written.

    Raises
    ------
    InputError
        If the file is missing, is another one than the config names, or cannot be converted.
    """
    manifest = {"sha256": sha256, "versions": _versions()}
    if _is_there(folder, manifest):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # jobs that start together need it at the same moment: one converts
        if _is_there(folder, manifest):
            return
        file = find()
        check_sha256(file, sha256)
        with written_aside(folder) as aside:
            shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed and had the same number
            aside.mkdir()
            _convert(file, aside)
            write_json(manifest, aside / MANIFEST_FILE)


def _is_there(folder: Path, manifest: dict[str, Any]) -> bool:
    try:
        return read_json(folder / MANIFEST_FILE) == manifest
    except DamagedFile:
        return False


def _versions() -> dict[str, str | int]:
    return {"converter": CONVERTER_VERSION, "gguf": version("gguf"), "transformers": version("transformers")}


def check_sha256(file: Path, sha256: str) -> None:
    """Raise an InputError unless the file is there and is the one that the config names."""
    if not file.is_file():
        raise InputError(f"{file}: no such file; fetch the GGUF file that the config names, or fix its path")
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != sha256:
        raise InputError(
            f"{file} has the sha256 {found}, not {sha256} as the config says: fetch it again, or fix the config"
        )


def _convert(file: Path, folder: Path) -> None:
    """Write everything but the manifest."""
    import gguf
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    architecture, tensors = _open(file)
    source: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    config = AutoConfig.from_pretrained(**source)
    config.tie_word_embeddings = _tie(tensors)
    tokenizer = AutoTokenizer.from_pretrained(**source)
    tokenizer.model_max_length = config.max_position_embeddings
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    weights = {}
    for name in model.state_dict():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored not in tensors:
            raise InputError(f"{file} lacks the tensor {stored} ({name}): it is no whole model")
        weights[name] = _dequantise(tensors[stored])
    model.load_state_dict(weights, assign=True)
    model.tie_weights()
    # A chat's turn ends at the token that says so; some models also end it by the token that pads.
    ends = sorted({config.eos_token_id, config.pad_token_id} - {None})
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=ends, pad_token_id=config.pad_token_id
    )
    model.save_pretrained(folder, max_shard_size=SHARD_SIZE)
    tokenizer.save_pretrained(folder)


def _open(file: Path) -> tuple[gguf.MODEL_ARCH, dict[str, gguf.ReaderTensor]]:
    """Return architecture and tensors (by the file's names) of a GGUF file; their data stay on disk."""
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        name = reader.fields["general.architecture"].contents()
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"{file}: not a GGUF file that can be read ({error})") from error
    if name not in STORED_PLAINLY:
        raise InputError(f"{file} holds a model of architecture {name}; only {' and '.join(STORED_PLAINLY)} are known")
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    return architecture, {tensor.name: tensor for tensor in reader.tensors}


def _dequantise(tensor: gguf.ReaderTensor) -> torch.Tensor:
    """Return a tensor of the file in bf16."""
    import gguf
    import numpy as np
    import torch

    values = gguf.dequantize(tensor.data, tensor.tensor_type)
    return torch.from_numpy(np.require(values, requirements="W")).to(torch.bfloat16)


def _tie(tensors: dict[str, gguf.ReaderTensor]) -> bool:
    """Tell whether head and embedding are one matrix; if so, leave the finer of two quantised copies under both names.

    Converters untie what the originals tie, to quantise the head more finely.
    """
    import gguf

    embedding = tensors[EMBEDDING]
    head = tensors.setdefault(HEAD, embedding)
    stride = -(-len(embedding.data) // COMPARED_ROWS)
    one, other = (gguf.dequantize(t.data[::stride], t.tensor_type) for t in (embedding, head))
    if abs(one - other).mean() > SAME_MATRIX * abs(one).mean():
        return False
    tensors[EMBEDDING] = tensors[HEAD] = max(embedding, head, key=lambda t: t.n_bytes)
    return True
