"""A voice for other programs: llama.cpp, PEFT and Ollama.

Goes in: the files of a voice (`read_voice`). Comes out: a `Parcel`, the files of a folder and what the person should
know about them; `write` puts it there. Nothing here needs a model.

**PEFT.** It computes W h + (alpha / r) · (B A h + b) for a linear layer W with the input h; b is the bias of
``lora_B``, there with ``lora_bias``. On W = ``down_proj`` that is the whole of a voice: A and B are those of the
adapter file, alpha is r, and b is the control vector – it is added to the output of a block, which is the residual
stream plus W h, so adding it to W h comes to the same. Only in architectures that add W h as it is, though.
"""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.adapterfile import ADAPTER_FILE, LowRankEdit, read_low_rank_edit, write_low_rank_edit
from engine.errors import EngineError
from engine.messages import Sampling
from engine.voicefile import VECTOR_FILE, ControlVector, Provenance, Vector, read_control_vector

__all__ = [
    "EngineError", "Parcel", "SharedFile", "SharedVoice", "SharingError", "as_gguf", "as_ollama", "as_peft",
    "read_voice", "write",
]  # fmt: skip

# The MLP's output joins the residual stream as it is. Not so in gemma2 and gemma3, which normalise it first, and in
# granite, which scales it.
_ADDS_MLP_OUTPUT = frozenset({"gemma", "llama", "phi3", "qwen2", "qwen3", "smollm3"})
_WEIGHT = "base_model.model.model.layers.{}.mlp.down_proj.{}"

_NO_VECTOR_IN_OLLAMA = (
    "Ollama knows no control vector, so only the low-rank part of the voice is in force there: "
    "what it writes is less like the person than in Idiolect."
)
_NO_ADAPTER_IN_OLLAMA = (
    'Ollama 0.34.1 and newer refuses ADAPTER ("LoRA adapters are no longer supported"): '
    "use an older one, or llama.cpp with the format gguf."
)
_BIAS_IN_PEFT = (
    "The control vector is the bias of lora_B (lora_bias), which PEFT 0.14 and newer knows. Engines that do not, such "
    "as vLLM, refuse the adapter or drop the vector, and PEFT cannot merge it into the weights: where that matters, "
    "export with --without-vector."
)
_WITHOUT_VECTOR = (
    "The control vector is left out: what is written is less like the person than in Idiolect, and the "
    "adapter is an ordinary LoRA that every engine loads."
)


class SharingError(EngineError):
    """The voice cannot be handed over like this; the message says why and what to do."""


@dataclass(frozen=True)
class SharedVoice:
    """A voice as its ``files`` hold it (paths by kind). ``vector`` or ``edit`` may be missing, not both."""

    name: str
    files: Mapping[str, Path]
    vector: ControlVector | None
    edit: LowRankEdit | None

    @property
    def architecture(self) -> str:
        """The kind of model it is for, by llama.cpp's name."""
        return next(part.architecture for part in (self.vector, self.edit) if part is not None)

    @property
    def made(self) -> Provenance | None:
        """What it was made for and how, where a file says so."""
        found = (part.provenance for part in (self.vector, self.edit) if part is not None)
        return next((each for each in found if each is not None), None)


@dataclass(frozen=True)
class SharedFile:
    """A file to be written: what it is, its name in the folder, its content."""

    kind: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Parcel:
    """What is handed over, and what the person should know about it."""

    files: tuple[SharedFile, ...]
    notes: tuple[str, ...] = ()


def read_voice(name: str, files: Mapping[str, Path]) -> SharedVoice:
    """The voice called ``name`` in ``files``: ``control_vector``, ``adapter``, or both.

    Raises EngineError naming the file that is none, and for two that do not belong together.
    """
    vector = read_control_vector(files["control_vector"]) if "control_vector" in files else None
    edit = read_low_rank_edit(files["adapter"]) if "adapter" in files else None
    if vector is None and edit is None:
        raise SharingError(f"The voice {name!r} has no file yet. Learn it first.")
    if vector is not None and edit is not None:
        sizes = {(part.architecture, part.hidden_size) for part in (vector, edit)}
        if len(sizes) > 1:
            raise SharingError(
                f"{files['control_vector']} and {files['adapter']} were made for different models; "
                "learn the voice again"
            )
    return SharedVoice(name, files, vector, edit)


def as_gguf(voice: SharedVoice, system: str, strength: float = 1.0) -> Parcel:
    """The voice's own files, and how llama.cpp loads them at ``strength``.

    ``system``, here and below: the system prompt the voice was learnt with.
    """
    files: list[SharedFile] = []
    options: list[str] = []
    for kind, name, option in (
        ("adapter", ADAPTER_FILE, "--lora-scaled"),
        ("control_vector", VECTOR_FILE, "--control-vector-scaled"),
    ):
        if kind in voice.files:
            files.append(SharedFile(kind, name, voice.files[kind].read_bytes()))
            options.append(f"{option} {name}:{strength:g}")
    recommended = 1.0 if voice.made is None else voice.made.strength
    text = f"""\
{_title(voice)}, for llama.cpp

{_made_for(voice)}

Another quantisation of the same model does as well; another model does not.

In this folder (llama-server takes the same options):

    llama-cli -m MODEL.gguf {" ".join(options)}

The number is the strength: {recommended:g} is recommended, 0 is the plain model. Give every file the same.
Older builds of llama.cpp want a blank in place of the colon ({options[0].replace(":", " ")}).
A colon or a comma in the path of a file is not understood, so stay in this folder.

The voice was learnt with this system prompt; give the same (llama-cli: -sys):

{textwrap.indent(system, "    ")}
"""
    return Parcel((*files, _text("readme", "README.txt", text)))


def as_peft(voice: SharedVoice, system: str, strength: float = 1.0, *, with_vector: bool = True) -> Parcel:
    """The voice at ``strength`` as a LoRA of PEFT; without its control vector where that is not wanted.

    Raises SharingError where such an adapter would not be the voice, or would be nothing.
    """
    vector, edit = (voice.vector if with_vector else None), voice.edit
    if edit is None:
        # The width of the MLP, which even an empty A has to have, is known from the adapter file only.
        raise SharingError(
            f"The voice {voice.name!r} has no low-rank part to make a LoRA of. Choose the format gguf."
        )
    if vector is not None and voice.architecture not in _ADDS_MLP_OUTPUT:
        raise SharingError(
            f"In models of the kind {voice.architecture} a control vector cannot be a part of a LoRA. "
            "Leave it out (--without-vector), or choose the format gguf."
        )
    directions = {} if vector is None else vector.directions
    layers = sorted({*edit.layers, *directions})
    weights: dict[str, Vector] = {}
    for layer in layers:
        a, b = edit.layers.get(layer, _nothing(edit))
        weights[_WEIGHT.format(layer, "lora_A.weight")] = np.ascontiguousarray(a)
        weights[_WEIGHT.format(layer, "lora_B.weight")] = np.ascontiguousarray(b * np.float32(strength))
        if vector is not None:
            bias = directions.get(layer, np.zeros(edit.hidden_size, dtype=np.float32))
            weights[_WEIGHT.format(layer, "lora_B.bias")] = np.ascontiguousarray(bias * np.float32(strength))
    notes = () if voice.vector is None else (_WITHOUT_VECTOR if vector is None else _BIAS_IN_PEFT,)
    return Parcel(
        (
            SharedFile("weights", "adapter_model.safetensors", _safetensors(weights)),
            _text(
                "config", "adapter_config.json", _peft_config(voice, edit.rank, layers, vector is not None)
            ),
            _text("readme", "README.md", _peft_readme(voice, system, strength, notes)),
        ),
        notes,
    )


def as_ollama(
    voice: SharedVoice, system: str, model: Path, sampling: Sampling, strength: float = 1.0
) -> Parcel:
    """The voice's low-rank part at ``strength`` on the model file ``model``, for ``ollama create``."""
    if voice.edit is None:
        raise SharingError(
            f"The voice {voice.name!r} is a control vector alone, which Ollama does not know. Choose the format gguf."
        )
    if not str(model).isprintable():
        raise SharingError(
            f"Ollama cannot be told of a path such as {str(model)!r}. Move the model elsewhere."
        )
    notes = (*((_NO_VECTOR_IN_OLLAMA,) if voice.vector is not None else ()), _NO_ADAPTER_IN_OLLAMA)
    remarks = [
        f"{_title(voice)}, at strength {strength:g}",
        *_made_for(voice).splitlines(),
        *notes,
        "In this folder: ollama create my-voice -f Modelfile",
    ]
    parameters = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "num_predict": sampling.max_tokens,
    }
    lines = [
        *(f"# {remark}" for remark in remarks),
        f"FROM {model}",
        f"ADAPTER ./{ADAPTER_FILE}",
        f'SYSTEM """{system}"""',
        *(f"PARAMETER {name} {value:g}" for name, value in parameters.items()),
    ]
    return Parcel(
        (
            _text("modelfile", "Modelfile", "\n".join(lines) + "\n"),
            SharedFile("adapter", ADAPTER_FILE, _scaled(voice.files["adapter"], voice.edit, strength)),
        ),
        notes,
    )


def write(folder: Path, files: Sequence[SharedFile]) -> dict[str, Path]:
    """Write ``files`` into ``folder``, which is made where it is missing; their paths by kind.

    All of them are written beside their places first and moved there when all are whole; what is there already
    is replaced. Raises SharingError naming the file that cannot be written.
    """
    parts: list[tuple[Path, Path]] = []
    place = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            place = folder / file.name
            handle, name = tempfile.mkstemp(dir=folder, prefix=f".{file.name}.", suffix=".part")
            parts.append((Path(name), place))
            with os.fdopen(handle, "wb") as part:
                part.write(file.content)
                part.flush()
                os.fsync(part.fileno())
        for beside, place in parts:
            beside.replace(place)
    except OSError as error:
        raise SharingError(
            f"{place} cannot be written: {error.strerror or error}. Choose another folder, or make room there."
        ) from error
    finally:
        for beside, _ in parts:
            beside.unlink(missing_ok=True)
    return {file.kind: folder / file.name for file in files}


def _nothing(edit: LowRankEdit) -> tuple[Vector, Vector]:
    """An edit of one block, of the shape of ``edit``, that changes nothing."""
    return (
        np.zeros((edit.rank, edit.inner_size), dtype=np.float32),
        np.zeros((edit.hidden_size, edit.rank), dtype=np.float32),
    )


def _scaled(path: Path, edit: LowRankEdit, strength: float) -> bytes:
    """The adapter file ``path``, which holds ``edit``, with ``strength`` folded in: Ollama cannot scale one."""
    if strength == 1:
        return path.read_bytes()
    layers = {layer: (a, b * np.float32(strength)) for layer, (a, b) in edit.layers.items()}
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / ADAPTER_FILE
        write_low_rank_edit(changed, replace(edit, layers=layers))
        return changed.read_bytes()


def _safetensors(weights: dict[str, Vector]) -> bytes:
    # Imported here: nothing else of the engine needs it.
    from safetensors.numpy import save

    return save(weights, metadata={"format": "pt"})


def _peft_config(voice: SharedVoice, rank: int, layers: Sequence[int], with_vector: bool) -> str:
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": _line(voice.made.model_name) if voice.made is not None else None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "lora_bias": with_vector,
        "bias": "none",
        "target_modules": ["down_proj"],
        "layers_to_transform": list(layers),
        "layers_pattern": "layers",
    }
    return json.dumps(config, indent=2) + "\n"


def _peft_readme(voice: SharedVoice, system: str, strength: float, notes: Sequence[str]) -> str:
    parts = [
        f"# {_title(voice)}, as a PEFT adapter",
        f"{textwrap.indent(_made_for(voice), '- ')}\n- at strength {strength:g}",
        *notes,
        """\
```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

plain = AutoModelForCausalLM.from_pretrained("the folder or the name of the same model")
model = PeftModel.from_pretrained(plain, "this folder")
```""",
        "The voice was learnt with this system prompt; give the same:",
        textwrap.indent(system, "    "),
    ]
    return "\n\n".join(parts) + "\n"


def _title(voice: SharedVoice) -> str:
    return f"The voice “{_line(voice.name)}”, learnt with Idiolect"


def _made_for(voice: SharedVoice) -> str:
    """For which model the voice is, in lines."""
    made = voice.made
    if made is None:
        return f"for a model of the kind {_line(voice.architecture)}"
    lines = [f"for the model {_line(made.model_name)} ({_line(voice.architecture)})"]
    if made.model_sha256:
        lines.append(f"learnt on its file with the SHA-256 {_line(made.model_sha256)}")
    return "\n".join(lines)


def _line(text: str) -> str:
    """``text`` on one line: names come out of files, and a line break in one could begin an instruction."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _text(kind: str, name: str, text: str) -> SharedFile:
    return SharedFile(kind, name, text.encode())
