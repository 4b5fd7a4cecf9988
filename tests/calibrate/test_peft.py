"""A voice exported as a LoRA of PEFT, put on the model by PEFT itself, against the product's own edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs the calibrate extra")
peft = pytest.importorskip("peft", reason="the adapter is loaded by the real PEFT")

import transformers  # noqa: E402
from torch import Tensor  # noqa: E402

from calibrate.edit import Edit  # noqa: E402
from calibrate.export import export  # noqa: E402
from calibrate.full_model import FullModel  # noqa: E402
from engine.sharing import SharingError, as_peft, read_voice, write  # noqa: E402
from engine.voicefile import Provenance  # noqa: E402

MADE = Provenance("mine", "Tiny Llama", "5f" * 32, "test", "{}", "2024-01-01", 1, 1.0, None, None)
TOKENS = torch.tensor([[1, 40, 41, 7, 90, 12, 3, 200, 55, 17]])
# Float32 and another order of additions: 5e-6 at most. The edit itself moves the logits by 0.7 and more.
CLOSE = {"rtol": 1e-5, "atol": 2e-5}

SIZES = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*lora_bias=True.*"),
    # PEFT takes the biases for incomplete matrices and says so, but keeps them.
    pytest.mark.filterwarnings("ignore:.*have invalid shape.*"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibrate.full_model.fastest_dtype", lambda: torch.float32)


def model_of_kind(kind: str) -> Any:
    """A random model of transformers, of the architecture that llama.cpp calls ``kind``; always the same."""
    torch.manual_seed(2)
    config = transformers.AutoConfig.for_model(
        {"gemma3": "gemma3_text"}.get(kind, kind),
        **{name: size for name, size in SIZES.items() if (name, kind) != ("head_dim", "phi3")},
    )
    auto: Any = transformers.AutoModelForCausalLM
    return auto.from_config(config).float().eval()


def patchy_edit(layers: int = 4, hidden: int = 64, rank: int = 2) -> Edit:
    """Block 0 has a low-rank part, block 1 a vector, block 2 both, the last neither."""
    random = np.random.default_rng(3)

    def noise(*shape: int) -> Tensor:
        made: Tensor = torch.from_numpy(random.normal(0, 0.3, shape).astype(np.float32))
        return made

    edit = Edit(noise(layers, hidden), noise(layers, rank, hidden), noise(layers, hidden, rank))
    edit.writes[[1, 3]] = 0.0
    edit.vectors[[0, 3]] = 0.0
    return edit


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(TOKENS, use_cache=False).logits
    return found


def steered(full: FullModel, edit: Edit) -> Tensor:
    with full.steered(edit):
        return logits(full._model)


def handed_over(folder: Path, plain: Any, **how: Any) -> Any:
    """``plain`` with the voice in ``folder`` put on by PEFT."""
    files = {"control_vector": folder / "control-vector.gguf", "adapter": folder / "adapter.gguf"}
    write(folder / "peft", as_peft(read_voice("mine", files), "Be kind.", **how).files)
    return peft.PeftModel.from_pretrained(plain, str(folder / "peft"))


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_peft_does_exactly_what_the_product_does(tiny: Path, tmp_path: Path, strength: float) -> None:
    full, edit = FullModel.load(tiny), patchy_edit()
    plain = logits(full._model)
    export(tmp_path, "llama", full, edit, MADE)
    model = handed_over(tmp_path, FullModel.load(tiny)._model, strength=strength)
    expected = steered(full, edit * strength)
    torch.testing.assert_close(logits(model), expected, **CLOSE)
    assert (expected - plain).abs().max() > 1.0
    with model.disable_adapter():
        torch.testing.assert_close(logits(model), plain, **CLOSE)
    with pytest.raises(RuntimeError, match="Impossible to merge"):  # as the note that goes with it says
        model.merge_and_unload()


def test_without_the_vector_it_is_another_voice_that_can_be_merged(tiny: Path, tmp_path: Path) -> None:
    full, edit = FullModel.load(tiny), patchy_edit()
    export(tmp_path, "llama", full, edit, MADE)
    model = handed_over(tmp_path, FullModel.load(tiny)._model, with_vector=False)
    assert (logits(model) - steered(full, edit)).abs().max() > 0.5
    lone = Edit(torch.zeros_like(edit.vectors), edit.reads, edit.writes)
    torch.testing.assert_close(logits(model), steered(full, lone), **CLOSE)
    torch.testing.assert_close(logits(model.merge_and_unload()), steered(full, lone), **CLOSE)


def test_peft_finds_every_weight_under_the_name_it_gives_it(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    full = FullModel.load(tiny)
    export(tmp_path, "llama", full, patchy_edit(), MADE)
    model = handed_over(tmp_path, FullModel.load(tiny)._model)
    written = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    # save_embedding_layers: else PEFT would look up the base model's configuration by its name.
    known = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    assert known.keys() == written.keys()
    for name, weight in written.items():
        torch.testing.assert_close(known[name], weight, rtol=0, atol=0)
    config = peft.PeftConfig.from_pretrained(str(tmp_path / "peft"))
    assert (config.peft_type, config.task_type) == ("LORA", "CAUSAL_LM")
    assert (config.r, config.lora_alpha, config.layers_to_transform) == (2, 2, [0, 1, 2])
    assert config.base_model_name_or_path == "Tiny Llama"


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "phi3", "gemma", "smollm3"])
def test_it_is_exact_in_every_architecture_that_is_let_through(kind: str, tmp_path: Path) -> None:
    full, edit = FullModel(model_of_kind(kind)), patchy_edit()
    export(tmp_path, kind, full, edit, MADE)
    model = handed_over(tmp_path, model_of_kind(kind))
    expected = steered(full, edit)
    torch.testing.assert_close(logits(model), expected, **CLOSE)
    assert (expected - logits(full._model)).abs().max() > 0.5


@pytest.mark.parametrize("kind", ["gemma2", "gemma3"])
def test_a_model_that_normalises_the_output_takes_the_low_rank_part_only(kind: str, tmp_path: Path) -> None:
    full, edit = FullModel(model_of_kind(kind)), patchy_edit()
    export(tmp_path, kind, full, edit, MADE)
    with pytest.raises(SharingError, match=f"{kind}.*--without-vector"):
        handed_over(tmp_path, model_of_kind(kind))
    model = handed_over(tmp_path, model_of_kind(kind), with_vector=False)
    lone = Edit(torch.zeros_like(edit.vectors), edit.reads, edit.writes)
    torch.testing.assert_close(logits(model), steered(full, lone), **CLOSE)
