"""Model files that load, and those that do not: what is said about them."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.model import Model, file_sha256
from tests.engine.conftest import Loader
from tests.engine.helpers import HIDDEN, LAYERS, ask, vector_file
from tests.tiny_models import write_tiny_llama


def header(version: int = 3, tensors: int = 1, pairs: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def refusal(path: Path) -> str:
    """What is said when ``path`` is loaded; it names the file."""
    with pytest.raises(EngineError) as caught:
        Model.load(path, 256, threads=1)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_model_says_what_it_is(tiny: Path, model: Model) -> None:
    assert (model.name, model.architecture) == ("Tiny Llama", "llama")
    assert (model.hidden_size, model.layer_count) == (HIDDEN, LAYERS)
    assert model.sha256 == hashlib.sha256(tiny.read_bytes()).hexdigest()


def test_a_model_without_a_name_is_called_like_its_file(tmp_path: Path, load: Loader) -> None:
    assert load(write_tiny_llama(tmp_path / "some-model.gguf", name="")).name == "some-model"


def test_no_more_context_is_used_than_the_model_was_trained_for(tiny: Path, load: Loader) -> None:
    assert load(tiny, 300).context_tokens == 300
    assert load(tiny, 100_000).context_tokens == 2048


def test_a_path_that_is_no_ascii_loads(tmp_path: Path, load: Loader) -> None:
    assert ask(load(write_tiny_llama(tmp_path / "märchen – 模型.gguf")))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "is not there" in refusal(tmp_path / "gone.gguf")


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_to_be_so(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.gguf"
    path.write_bytes(tiny.read_bytes())
    path.chmod(0)
    assert "permissions" in refusal(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a GGUF model file"),
        (b"Dear friend, it is raining.", "is not a GGUF model file"),
        (header()[:10], "is cut off after 10 bytes"),
        (header(version=1) + bytes(100), "is of GGUF version 1"),
        (header(version=4) + bytes(100), "is of GGUF version 4"),
        (header(tensors=0) + bytes(100), "holds no weights"),
        (header(tensors=2**60) + bytes(100), "is damaged"),
        (header(pairs=2**60) + bytes(100), "is damaged"),
        (header() + bytes(100), "is damaged"),
    ],
)
def test_a_file_that_is_no_model_is_refused_for_its_reason(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert said in refusal(path)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.99])
def test_a_model_cut_off_anywhere_is_refused(tiny: Path, tmp_path: Path, share: float) -> None:
    whole = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * share)])
    refusal(path)


def test_a_model_of_an_unknown_kind_is_refused_with_the_reason(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(tiny.read_bytes().replace(b"llama", b"lhama"))
    assert "lhama" in refusal(path)


def test_a_voice_is_no_model(tmp_path: Path) -> None:
    refusal(Path(vector_file(tmp_path / "voice.gguf")))


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of memory as Linux does")
def test_a_context_for_which_there_is_no_memory_is_an_error_to_act_on(tiny: Path) -> None:
    script = """
        import resource, sys
        from pathlib import Path
        from engine.errors import EngineError
        from engine.native import Context, Weights

        weights = Weights(Path(sys.argv[1]))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
        try:
            Context(weights, 2**22, threads=1)
        except EngineError as error:
            sys.exit(str(error))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tiny)], capture_output=True, text=True, timeout=60
    )
    assert "There is not enough memory for 4194304 tokens" in result.stderr


def test_the_hash_of_a_file_that_changes_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"another"):
        path.write_bytes(content)
        assert file_sha256(path) == hashlib.sha256(content).hexdigest()
