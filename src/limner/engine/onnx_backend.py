"""The embedded model on onnxruntime.

Rows are run two by two: one picture's unconditional and conditional text. Measured on the shipped network, a
larger batch is no faster (7 ms of one core a row at 256 px, be it 2, 4 or 8 rows), and a row's bits are its
own only in a batch of fixed shape: with 3, 4 and 8 threads eight rows at once differ from four pairs by 2e-6,
with 1 and 2 a lone row differs from a pair by as much. So company cannot change a picture, and one picture at
a time is the quickest way through a queue.

The same number of threads gives the same bits, run after run. Another number may not: 1 and 2 agreed, and 3,
4 and 8 among themselves, but not the two groups.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from limner.engine import pixels, weights
from limner.engine.backend import Backend, Broken, Offer
from limner.engine.values import Array, Conditioning, Latents, Pixels, Prompt
from limner.engine.weights import WAY_OUT, Manifest

PAIR = 2
SHOWN_WORDS = 8


class OnnxBackend:
    """See ``Backend``. Raises ``Broken`` when a file is missing, altered or unreadable."""

    device = "cpu"
    together = 1

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        self.facts = manifest.facts
        self._unknown = manifest.unk_id
        self._tokenizer = _tokenizer(folder, manifest)
        self._words = manifest.max_tokens - self._tokenizer.num_special_tokens_to_add(False)
        session = partial(_session, folder, manifest, threads)
        self._text_encoder = session("text_encoder.onnx")
        self._unet = session("unet.onnx")
        self._decoder = session("vae_decoder.onnx")
        self._encoder = session("vae_encoder.onnx")

    def encode(self, prompt: Prompt) -> Conditioning:
        """Both texts of one order; words the model never learned and words past its length become notes."""
        texts = (prompt.negative, prompt.text)
        found = self._tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in found], np.int64)  # [2, L]
        hidden = _run(self._text_encoder, ids)  # [2, L, D]
        notes = [note for text, one in zip(texts, found, strict=True) for note in self._notes(text, one)]
        return Conditioning(hidden, tuple(notes))

    def denoise(self, x: Array, t: Array, c: Array) -> Array:
        """See ``Backend``; two rows a call."""
        pairs = [slice(i, i + PAIR) for i in range(0, len(x), PAIR)]
        return np.concatenate([_run(self._unet, x[pair], t[pair], c[pair]) for pair in pairs])

    def decode(self, latents: Latents) -> Pixels:
        """Latents to a picture of ``factor`` times their sides."""
        return pixels.quantise(_run(self._decoder, latents[None])[0])

    def encode_pixels(self, picture: Pixels) -> Latents:
        """The reverse of ``decode``."""
        image = (picture.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)  # [1, 3, H, W]
        latents: Latents = _run(self._encoder, image)[0]
        return latents

    def _notes(self, text: str, encoding: Encoding) -> list[str]:
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        words = dict.fromkeys(text[start:end].lower() for id_, (start, end) in spans if id_ == self._unknown)
        notes = []
        if words:
            shown = ", ".join(list(words)[:SHOWN_WORDS])
            notes.append(f"words the model does not know: {shown}")
        if encoding.overflowing:
            notes.append(f"the model reads {self._words} words; the rest was left out")
        return notes


def offer(folder: Path, threads: int) -> Offer:
    """The model in ``folder``: its description is read now, its files when it is checked and when it
    opens. Raises ``Broken``."""
    manifest = weights.manifest(folder)

    def open_() -> Backend:
        return OnnxBackend(folder, manifest, threads)

    def check() -> None:
        for name in manifest.files:
            weights.read(folder, name, manifest)

    return Offer(weights.card(folder, manifest), open_, check)


def _tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    content = weights.read(folder, "tokenizer.json", manifest)
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # tokenizers raises nothing narrower
        raise Broken(f"{folder / 'tokenizer.json'}: {error}; {WAY_OUT}") from error
    tokenizer.enable_truncation(manifest.max_tokens)
    tokenizer.enable_padding(length=manifest.max_tokens, pad_id=manifest.pad_id)
    return tokenizer


def _session(folder: Path, manifest: Manifest, threads: int, name: str) -> ort.InferenceSession:
    content = weights.read(folder, name, manifest)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Memory goes back after each run: 160 MB are left after large pictures, not 640. Measured cost: 4 % at
    # 256 px, more above, all of it in the decoder.
    options.enable_cpu_mem_arena = False
    # Waiting threads sleep: on shared cores a step takes 1.3 to 1.5 times as long with spinning (measured).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no narrower base
        raise Broken(f"{folder / name}: {' '.join(str(error).split())}; {WAY_OUT}") from error


def _run(session: ort.InferenceSession, *inputs: NDArray[Any]) -> Array:
    names = [declared.name for declared in session.get_inputs()]
    answer: Array = session.run(None, dict(zip(names, inputs, strict=True)))[0]
    return answer
