"""The two forms of the model, on a tiny one: what is read back from files is what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")

from calibrate.edit import Edit  # noqa: E402
from calibrate.export import export  # noqa: E402
from calibrate.quantised import Quantised  # noqa: E402
from engine.container import Provenance  # noqa: E402
from tests.bench.artefact import Artefact, plain  # noqa: E402
from tests.bench.models import Models  # noqa: E402

REQUESTS = ("Write a letter.", "Water the house.", "Morning rain.")


@pytest.fixture(scope="module")
def models(tiny: Path) -> Iterator[Models]:
    found = Models(tiny, tiny)
    yield found
    found.close()


def random_edit(models: Models, rank: int) -> Edit:
    noise = torch.Generator().manual_seed(1)
    layers, hidden = models.full.layer_count, models.full.hidden_size
    edit = Edit(
        torch.randn(layers, hidden, generator=noise),
        torch.randn(layers, rank, hidden, generator=noise),
        torch.randn(layers, hidden, rank, generator=noise),
    )
    edit.vectors[0] = 0  # block 0 cannot be steered
    return edit


def in_files(models: Models, edit: Edit, folder: Path, strength: float = 1.0) -> Artefact:
    sha256 = models.engine.sha256
    made = Provenance("v", models.engine.name, sha256, "test", "", "", 1, strength, None, None)
    files = export(folder, models.engine.architecture, models.full, edit, made).by_kind
    return Artefact(
        plain().system,
        control_vector=files["control_vector"],
        adapter=files.get("adapter", ""),
        strength=strength,
    )


def test_an_edit_comes_back_from_its_files(models: Models, tmp_path: Path) -> None:
    edit = random_edit(models, rank=3)
    found = models.edit(in_files(models, edit, tmp_path))
    assert found is not None
    edit.reads[:, :, 0] = (
        0  # the tiny model's MLPs write nothing there, so what is read there does not matter
    )
    for wanted, got in zip(edit.tensors, found.tensors, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_a_control_vector_alone_comes_back_at_the_strength_recommended(
    models: Models, tmp_path: Path
) -> None:
    edit = random_edit(models, rank=0)
    artefact = in_files(models, edit, tmp_path, strength=0.5)
    found = models.edit(artefact)
    assert found is not None
    assert found.rank == 0
    torch.testing.assert_close(found.vectors, edit.vectors * 0.5)
    assert artefact.size == (tmp_path / "control-vector.gguf").stat().st_size


def test_an_adapter_of_another_model_is_noticed(models: Models, tmp_path: Path) -> None:
    from tests.tiny_models import write_tiny_llama

    artefact = in_files(models, random_edit(models, rank=2), tmp_path)
    path = write_tiny_llama(tmp_path / "other.gguf", seed=9)
    other = Models(path, path)
    try:
        with pytest.raises(ValueError, match="not made through this model"):
            other.edit(artefact)
    finally:
        other.close()


def test_what_is_scored_is_what_learning_sees(models: Models, tiny: Path) -> None:
    model = Quantised(tiny)
    try:
        expected = model.sample("Write a letter.", "dear friend")
        assert models.sample(plain().turns("Write a letter."), "dear friend") == expected
    finally:
        model.close()


def test_strength_0_writes_what_the_plain_model_writes(models: Models, tmp_path: Path) -> None:
    artefact = in_files(models, random_edit(models, rank=2), tmp_path)
    asked = [plain().turns(request) for request in REQUESTS]
    unsteered = models.answers(asked, None, 12, seed=3)
    assert any(unsteered)
    assert models.answers(asked, artefact.voice(0.0), 12, seed=3) == unsteered
    assert models.answers(asked, artefact.voice(), 12, seed=3) != unsteered
