"""What the keys of a model file say, as far as native code would not survive the contrary.

Goes in: the keys of a file. Comes out: nothing, a ValueError that completes "The file is damaged: …", or an
EngineError where it is sound but of no use here.

llama.cpp checks much of this itself, by ending the whole process; the rest it multiplies and reserves memory by.
"""

from __future__ import annotations

from pathlib import Path

from gguf import RopeScalingType

from engine.errors import EngineError
from engine.gguf_scan import Keys

# The least and most a number can be. Real models stay far below the most, but for blocks and experts: there llama.cpp
# has arrays of this size.
_MOST_BLOCKS, _MOST_EXPERTS = 512, 1024
_LIMITS = {
    "block_count": (1, _MOST_BLOCKS),
    "context_length": (1, 2**31 - 1),
    "embedding_length": (1, 2**20),
    "feed_forward_length": (0, 2**24),
    "vocab_size": (1, 2**24),
    "attention.head_count": (0, 2**16),
    "attention.head_count_kv": (0, 2**16),
    "attention.key_length": (0, 2**16),
    "attention.value_length": (0, 2**16),
    "rope.dimension_count": (0, 2**16),
    "expert_count": (0, _MOST_EXPERTS),
    "expert_used_count": (0, _MOST_EXPERTS),
}
_SCALINGS = {b"", *(each.value.encode() for each in RopeScalingType)}
_WITHOUT_VOCABULARY = (b"none", b"no_vocab")
_TOKENS = "tokenizer.ggml.tokens"
_PER_TOKEN = ("tokenizer.ggml.token_type", "tokenizer.ggml.scores")


def check_settings(path: Path, keys: Keys) -> None:
    """Raise ValueError where ``keys`` cannot be those of a model, EngineError where they are of one without use."""
    # llama.cpp would go on to read the other files, which nobody has looked at.
    if keys.number("split.count", 1) > 1:
        raise EngineError(
            f"The model file {path} is one of several that belong together. "
            "Get the model as one file, or choose another model."
        )
    if keys.text("tokenizer.ggml.model") in _WITHOUT_VOCABULARY:
        raise EngineError(f"The model file {path} has no vocabulary to write with. Choose another model.")
    architecture = keys.text("general.architecture").decode(errors="replace")
    for name, (least, most) in _LIMITS.items():
        key = f"{architecture}.{name}"
        if key in keys.fields and keys.fields[key].count > _MOST_BLOCKS:
            raise ValueError(f"its {key} is a list of {keys.fields[key].count}")
        for number in keys.numbers(key):
            if not least <= number <= most:
                raise ValueError(f"its {key} is {number}")
    _check_blocks(keys, architecture)
    _check_experts(keys, architecture)
    _check_tokens(keys)


def _check_blocks(keys: Keys, architecture: str) -> None:
    predicting = keys.number(f"{architecture}.nextn_predict_layers", 0)
    if predicting > keys.number(f"{architecture}.block_count", _MOST_BLOCKS):
        raise ValueError(f"its {architecture}.nextn_predict_layers is {predicting}")
    if keys.text(f"{architecture}.rope.scaling.type") not in _SCALINGS:
        raise ValueError(f"its {architecture}.rope.scaling.type is unknown")


def _check_experts(keys: Keys, architecture: str) -> None:
    experts = keys.number(f"{architecture}.expert_count", 0)
    used = max(keys.numbers(f"{architecture}.expert_used_count"), default=0)
    if used > experts or (experts and not used):
        raise ValueError(f"it uses {used} of {experts} experts")
    groups = keys.number(f"{architecture}.expert_group_count", 0)
    used = keys.number(f"{architecture}.expert_group_used_count", 0)
    if (groups and groups >= experts) or (groups > 1 and (experts % groups or not 0 < used < groups)):
        raise ValueError(f"it uses {used} of {groups} groups of {experts} experts")


def _check_tokens(keys: Keys) -> None:
    """Every token is there once, as llama.cpp reads it: up to a zero byte, and an empty one by its number."""
    count = keys.count(_TOKENS)
    for key in _PER_TOKEN:
        if key in keys.fields and keys.count(key) != count:
            raise ValueError(f"it has {count} tokens, and {key} for {keys.count(key)}")
    read = (token.partition(b"\0")[0] for token in keys.texts(_TOKENS))
    if len({token or b"[EMPTY_%d]" % number for number, token in enumerate(read)}) != count:
        raise ValueError("a token is in it twice")
