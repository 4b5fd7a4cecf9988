"""Every architecture that both readers take: full precision with hooks against llama.cpp with the exported files.

The rule is the one of METHOD.md ('Fixed points'): under an edit the two differ by no more than without it. What they
differ by without it is rounding: llama.cpp remembers keys and values in half precision, and multiplies quantised
matrices with quantised states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs the calibrate extra")

from torch import Tensor  # noqa: E402

from calibrate import full_model  # noqa: E402
from calibrate.batching import Sample  # noqa: E402
from calibrate.edit import Edit  # noqa: E402
from calibrate.export import export  # noqa: E402
from calibrate.full_model import FullModel, WeightsError  # noqa: E402
from engine.errors import EngineError  # noqa: E402
from engine.score import Scorer, scoring  # noqa: E402
from engine.voicefile import Provenance  # noqa: E402
from tests.tiny_architectures import SHAPES, TOKENS, Shape, write_tiny  # noqa: E402

F32, Q8_0, Q4_1 = (gguf.GGMLQuantizationType[kind] for kind in ("F32", "Q8_0", "Q4_1"))

# All in nats a token. What rounding alone may amount to, in a random model of four blocks:
NOISE = {F32: 1e-5, Q8_0: 5e-3, Q4_1: 5e-3}
# How much more of it there may be under an edit: what stretches the MLP's output stretches its rounding (0.96 to 1.14
# times the KL for rank-2 edits of the size below, on four quantised models with three edits each; a vector makes it
# less). The allowance is for float noise.
STRETCH, ALLOWANCE = 1.2, 2e-6
# These the product promises; one that a library no longer takes is a failure, not a gap.
PROMISED = ("llama", "phi3")
# How the two libraries say that they do not know an architecture.
UNKNOWN = ("is not supported yet", "unknown model architecture")


@dataclass(frozen=True)
class Case:
    """``kind``: how the engine's file stores matrices. ``folder``: the weights are safetensors, in float32."""

    architecture: str
    kind: gguf.GGMLQuantizationType = F32
    folder: bool = False

    @property
    def base(self) -> str:
        """What llama.cpp calls the architecture."""
        return SHAPES[self.architecture].architecture or self.architecture

    def __str__(self) -> str:
        return f"{self.architecture}-{self.kind.name}{'-folder' if self.folder else ''}"


CASES = [
    *(Case(architecture) for architecture in SHAPES),
    Case("llama", Q8_0), Case("llama", Q4_1), Case("llama", F32, folder=True), Case("llama", Q8_0, folder=True),
]  # fmt: skip


def _texts() -> list[Sample]:
    random = np.random.default_rng(11)
    rows = random.integers(TOKENS.index("<0x00>"), len(TOKENS), (5, 60)).tolist()
    return [Sample(tuple(row[:6]), tuple(row[6:])) for row in rows]


TEXTS = _texts()


@dataclass(frozen=True)
class Both:
    """One model twice."""

    case: Case
    full: FullModel
    scorer: Scorer

    def differ(self, edit: Edit | None) -> float:
        """KL per token of llama.cpp, as it is steered now, from full precision under ``edit``."""
        engine = [torch.from_numpy(self.scorer.logits(text.prompt, text.answer)) for text in TEXTS]
        return per_token_kl(self.logits(edit), torch.cat(engine))

    def logits(self, edit: Edit | None) -> Tensor:
        """What predicts each token of the answers, by transformers' own forward pass."""
        rows = []
        with torch.no_grad(), self.full.steered(edit):
            for text in TEXTS:
                found = self.full._model(torch.tensor([text.prompt + text.answer]), use_cache=False).logits
                rows.append(found[0, len(text.prompt) - 1 : -1])
        every: Tensor = torch.cat(rows)
        return every

    def likelihoods(self) -> list[float]:
        """The negative log-likelihood of every answer, by llama.cpp as it is steered now."""
        return [self.scorer.nll(text.prompt, text.answer) for text in TEXTS]

    def steer(self, edit: Edit, folder: Path) -> None:
        """Have llama.cpp apply ``edit``, out of the files it is exported to."""
        provenance = Provenance("v", "tiny", "", "test", "{}", "2024-01-01", 1, 1.0, None, None)
        files = export(folder, self.case.base, self.full, edit, provenance)
        self.scorer.steer(files.vectors(), files.adapter)


def per_token_kl(left: Tensor, right: Tensor) -> float:
    p, q = (torch.log_softmax(logits.double(), dim=1) for logits in (left, right))
    return float((p.exp() * (p - q)).sum(dim=1).mean())


@pytest.fixture(scope="module", params=CASES, ids=str)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    case: Case = request.param
    torch.set_num_threads(2)
    folder = tmp_path_factory.mktemp(str(case))
    path = write_tiny(folder / "engine.gguf", case.architecture, kind=case.kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_model, "fastest_dtype", lambda: torch.float32)
        try:
            full = FullModel.load(_safetensors(folder, case) if case.folder else path)
            with scoring(path, 64, 2) as scorer:
                yield Both(case, full, scorer)
        except (WeightsError, EngineError) as error:
            if case.base in PROMISED or not any(words in str(error) for words in UNKNOWN):
                raise
            pytest.skip(str(error))


def _safetensors(folder: Path, case: Case) -> Path:
    """The same model as a folder of safetensors."""
    exact = FullModel.load(write_tiny(folder / "exact.gguf", case.architecture))
    exact._model.save_pretrained(folder / "weights")
    return folder / "weights"


def edit_of(full: FullModel, vector: float, rank: int) -> Edit:
    """A random edit; ``vector``: the size of its additive part."""
    random = torch.Generator().manual_seed(7)

    def noise(size: float, *shape: int) -> Tensor:
        made: Tensor = size * torch.randn(shape, generator=random)
        return made

    layers, hidden = full.layer_count, full.hidden_size
    return Edit(
        noise(vector, layers, hidden), noise(0.15, layers, rank, hidden), noise(0.15, layers, hidden, rank)
    )


@pytest.mark.parametrize(
    ("vector", "rank", "strength"),
    [
        pytest.param(0.3, 0, 1.0, id="vector"),
        pytest.param(0.0, 2, 1.0, id="rank 2"),
        pytest.param(0.3, 2, 1.0, id="both"),
        pytest.param(0.3, 2, 0.5, id="both at half strength"),
    ],
)
def test_an_edit_does_the_same_in_llama_cpp(
    both: Both, tmp_path: Path, vector: float, rank: int, strength: float
) -> None:
    edit = edit_of(both.full, vector, rank) * strength
    both.scorer.steer(None)
    plain = both.differ(None)
    both.steer(edit, tmp_path)
    edited = both.differ(edit)
    moved = per_token_kl(both.logits(edit), both.logits(None))
    assert plain < NOISE[both.case.kind]
    assert edited <= STRETCH * plain + ALLOWANCE
    assert moved >= 10 * (plain + ALLOWANCE)


def test_likelihoods_are_the_same_in_llama_cpp(both: Both, tmp_path: Path) -> None:
    # What learning and measuring go by: several texts at once, padded, their logits made outside the model.
    edit = edit_of(both.full, 0.3, 2)
    both.scorer.steer(None)
    apart = 1e-3 if both.case.kind == F32 else 1e-2
    np.testing.assert_allclose(both.full.nlls(TEXTS, None), both.likelihoods(), rtol=apart)
    both.steer(edit, tmp_path)
    np.testing.assert_allclose(both.full.nlls(TEXTS, edit), both.likelihoods(), rtol=apart)


def test_a_scaling_that_is_not_known_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "stretched", Shape(architecture="llama", scaling=("yarn", 4.0)))
    path = write_tiny(tmp_path / "stretched.gguf", "stretched")
    with pytest.raises(WeightsError, match=r"stretched\.gguf: it scales positions by “yarn”"):
        FullModel.load(path)


def test_a_folder_of_a_model_that_also_sees_is_refused_by_name(tmp_path: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}
    text |= {"head_dim": 8, "intermediate_size": 8, "vocab_size": 32}
    sight = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    sight |= {"image_size": 28, "patch_size": 14}
    config = Gemma3Config(text_config=text, vision_config=sight, mm_tokens_per_image=4)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path / "seeing")
    with pytest.raises(WeightsError, match=r"seeing: .* is not a model of language alone"):
        FullModel.load(tmp_path / "seeing")
