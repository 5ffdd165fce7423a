"""GGUF files of small models, as llama.cpp's converter would write them."""

import hashlib
from pathlib import Path
from typing import Any

import gguf
import torch

Q8, Q5, F32 = (gguf.GGMLQuantizationType[name] for name in ("Q8_0", "Q5_0", "F32"))


def write_gguf(
    path: Path, model: Any, tokenizer: Any, head: torch.Tensor | None, architecture: str = "qwen2", leave_out: str = ""
) -> str:
    """Write the model as llama.cpp's converter would, and return the file's sha256."""
    config, writer = model.config, gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(pieces)
    writer.add_token_types([3 if piece in special else 1 for piece in pieces])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer._merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    tensors = {
        names.get_name(n, (".weight", ".bias")): t for n, t in model.state_dict().items() if n != "lm_head.weight"
    }
    if head is not None:
        tensors["output.weight"] = head
    for name, tensor in tensors.items():
        kind = F32 if tensor.ndim == 1 else Q5 if name == "token_embd.weight" and head is not None else Q8
        if name != leave_out:
            writer.add_tensor(name, gguf.quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return hashlib.sha256(path.read_bytes()).hexdigest()
