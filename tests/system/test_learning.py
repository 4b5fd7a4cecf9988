"""The main job with the real default model and real people: import, learn, say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.native import Weights
from engine.score import Scorer
from engine.voicefile import read_control_vector
from tests.system.learnt import Learnt, default_model, idiolect, idiolect_json, learnt

pytestmark = pytest.mark.timeout(1800)

# A program with no code of this project: what any user of llama.cpp can write.
BARE = """
import ctypes, sys, gguf, llama_cpp, numpy as np
model_path, vector_path, adapter_path, prompt, scale, out = sys.argv[1:]
one = dict(n_threads=1, n_threads_batch=1, logits_all=True, verbose=False)
llm = llama_cpp.Llama(model_path, n_ctx=256, n_batch=256, n_ubatch=256, **one)
rows = np.zeros((llama_cpp.llama_model_n_layer(llm.model) - 1, llm.n_embd()), dtype=np.float32)
for tensor in gguf.GGUFReader(vector_path).tensors:
    rows[int(tensor.name.split(".")[1]) - 1] = tensor.data * np.float32(scale)
flat = rows.reshape(-1)
data = flat.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
if float(scale):
    assert llama_cpp.llama_set_adapter_cvec(llm.ctx, data, flat.size, rows.shape[1], 1, len(rows) + 1) == 0
    adapter = llama_cpp.llama_adapter_lora_init(llm.model, adapter_path.encode())
    adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(ctypes.cast(adapter, llama_cpp.llama_adapter_lora_p_ctypes))
    assert llama_cpp.llama_set_adapters_lora(llm.ctx, adapters, 1, (ctypes.c_float * 1)(float(scale))) == 0
tokens = llm.tokenize(prompt.encode(), add_bos=False, special=True)
llm.eval(tokens)
np.savez(out, tokens=np.array(tokens), logits=llm.scores[: len(tokens)])
"""


def test_importing_twice_changes_nothing() -> None:
    voice = learnt("beethoven")
    again = idiolect_json(voice.data_dir, "import", str(_folder("beethoven")))
    assert again == voice.imported
    assert voice.imported["documents"] == 209
    assert voice.imported["skipped"] == []


@pytest.mark.parametrize("name", ["beethoven", "street", "pepys"])
def test_held_out_text_of_the_person_gets_likelier_and_others_stay_behind(name: str) -> None:
    likeness = learnt(name).report["likeness"]
    assert likeness["own"] <= -0.20
    assert likeness["others"] >= likeness["own"] + 0.05
    assert likeness["words_heldout"] > 1000


def test_the_exported_files_work_in_a_bare_llama_cpp_script(tmp_path: Path) -> None:
    voice = learnt("beethoven")
    prompt = "<|im_start|>user\nWrite to my nephew.<|im_end|>\n<|im_start|>assistant\nMy dear son"
    bare = {scale: _bare_logits(voice, prompt, scale, tmp_path) for scale in ("0", "1")}
    tokens = [int(token) for token in bare["1"][0]]
    weights = Weights(default_model())
    edit = np.zeros((weights.layer_count, weights.hidden_size), dtype=np.float32)
    for layer, row in read_control_vector(voice.control_vector).directions.items():
        edit[layer] = row
    scorer = Scorer(weights, 256, 1)
    plain = scorer.logits(tokens[:1], tokens[1:])
    scorer.steer(edit, voice.adapter)
    steered = scorer.logits(tokens[:1], tokens[1:])
    scorer.close()
    weights.close()
    np.testing.assert_allclose(bare["0"][1][:-1], plain, atol=1e-3)
    np.testing.assert_allclose(bare["1"][1][:-1], steered, atol=1e-3)
    assert np.abs(steered - plain).max() > 1


def test_what_it_says_in_the_voice_is_not_what_the_plain_model_says() -> None:
    voice = learnt("beethoven")
    request = "Write an email to cancel dinner on Friday."
    options = ("--seed", "3", "--max-tokens", "60")
    own = idiolect_json(voice.data_dir, "say", request, "--voice", voice.voice, *options)
    again = idiolect_json(voice.data_dir, "say", request, "--voice", voice.voice, *options)
    plain = idiolect_json(voice.data_dir, "say", request, "--voice", "none", *options)
    off = idiolect_json(voice.data_dir, "say", request, "--voice", voice.voice, "--strength", "0", *options)
    assert own["text"] == again["text"] != plain["text"]
    assert off["text"] == plain["text"]
    assert own["tokens"] > 5
    assert own["tokens_per_second"] > 0


def test_learning_again_uses_the_pairs_that_were_made() -> None:
    voice = learnt("beethoven")
    result = idiolect(voice.data_dir, "learn", "--voice", voice.voice, "--budget", "fast")
    assert result.returncode == 0, result.stderr[-2000:]
    report = idiolect_json(voice.data_dir, "voices")
    assert voice.voice in json.dumps(report)


def _bare_logits(voice: Learnt, prompt: str, scale: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    script, out = folder / "bare.py", folder / f"logits-{scale}.npz"
    script.write_text(BARE)
    arguments = [str(default_model()), str(voice.control_vector), str(voice.adapter), prompt, scale, str(out)]
    subprocess.run([sys.executable, "-I", str(script), *arguments], check=True, timeout=300)
    found = np.load(out)
    return found["tokens"], found["logits"]


def _folder(name: str) -> Path:
    from tests.system.learnt import VOICES

    return VOICES / name
