"""The tokenizer and the text encoder, taught on captions alone: to read the scene's facts back from the
sentence.

`python -m training.text OUT --minutes 5` writes `tokenizer.json` and `text.pt`. The denoiser starts from
these weights, so that it need not learn what words mean from noisy pictures.
"""

import argparse
import random
import re
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from training import checkpoint, vocabulary
from training.captions import caption
from training.palette import PAINT
from training.scenes import Spec, draw_spec
from training.subjects import SUBJECTS

LENGTH, WIDTH, LAYERS = 24, 128, 2
PAD, BOS, EOS, UNKNOWN = 0, 1, 2, 3

FACTS: dict[str, list[object]] = {
    "subject": [None, *SUBJECTS],
    "setting": list(vocabulary.SETTINGS),
    "time": list(vocabulary.TIMES),
    "weather": list(vocabulary.WEATHER),
    "style": list(vocabulary.STYLES),
    "shown_color": [None, *PAINT],
    "count": [1, 2, 3],
    "side": [None, *vocabulary.POSITIONS],
    "size": [None, *vocabulary.SIZES],
}


_SAYS_SOMETHING = {
    "left",
    "right",
    "small",
    "little",
    "tiny",
    "big",
    "large",
    "huge",
    "painting",
    "drawing",
    "sun",
    "day",
    "light",
    "one",
    "single",
    "alone",
    "illustration",
    "painted",
    "drawn",
    "dark",
    "bright",
    "sailing",
    "flying",
}
CLUTTER = [word for word in vocabulary.FILLER if word not in _SAYS_SOMETHING]


def known_words() -> list[str]:
    """Every word of the tables and of a great many captions, in a fixed order."""
    tables = (
        vocabulary.SUBJECTS,
        vocabulary.SETTINGS,
        vocabulary.TIMES,
        vocabulary.WEATHER,
        vocabulary.STYLES,
        vocabulary.COLORS,
        vocabulary.COUNTS,
        vocabulary.POSITIONS,
        vocabulary.SIZES,
    )
    texts = [word for table in tables for words in table.values() for word in words] + vocabulary.FILLER
    rng = random.Random(0)
    texts += [caption(draw_spec(rng), rng) for _ in range(40_000)]
    return sorted({word for text in texts for word in re.findall(r"[a-z0-9]+", text.lower())})


def build_tokenizer() -> Tokenizer:
    """One token a word: a word that is not known stays visible as `<unk>`."""
    words = ["<pad>", "<s>", "</s>", "<unk>", *known_words()]
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^a-z0-9]+"), "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return tokenizer


def build_encoder(words: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        projection_dim=WIDTH,
        attn_implementation="eager",
    )
    return CLIPTextModel(config)


def encode(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """Token ids [B, 24], cut and padded."""
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=PAD, pad_token="<pad>")
    return torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(texts)])


def clutter(text: str, rng: random.Random) -> str:
    """Sometimes a word that says nothing, or one nobody knows, is put in: it must be ignored."""
    while rng.random() < 0.22:
        words = text.split(" ")
        words.insert(rng.randrange(len(words) + 1), rng.choice(CLUTTER) if rng.random() < 0.7 else "qqzx")
        text = " ".join(words)
    return text


def _answers(specs: list[Spec]) -> dict[str, Tensor]:
    return {
        fact: torch.tensor([values.index(getattr(spec, fact)) for spec in specs])
        for fact, values in FACTS.items()
    }


def train(out: Path, minutes: float, rate: float = 2e-3, batch: int = 192) -> None:
    torch.manual_seed(0)
    rng = random.Random(5)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    tokenizer.save(str(out / "tokenizer.json"))
    encoder = build_encoder(tokenizer.get_vocab_size())
    heads = nn.ModuleDict({fact: nn.Linear(WIDTH, len(values)) for fact, values in FACTS.items()})
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=rate, weight_decay=1e-2)
    clock, step = checkpoint.Clock(), 0
    while (done := clock.seconds / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (1 - done) + 1e-5
        specs = [draw_spec(rng) for _ in range(batch)]
        ids = encode(tokenizer, [clutter(caption(spec, rng), rng) for spec in specs])
        hidden = encoder(ids).last_hidden_state  # [B, L, D]
        mean, last = hidden.mean(1), hidden[:, -1]  # each [B, D]
        loss, right = torch.zeros(()), {}
        for fact, answer in _answers(specs).items():
            guess = heads[fact](mean)
            loss = (
                loss
                + functional.cross_entropy(guess, answer)
                + 0.5 * functional.cross_entropy(heads[fact](last), answer)
            )
            right[fact] = round(float((guess.argmax(1) == answer).float().mean()), 2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"{step} {clock.seconds:.0f}s loss {loss.item():.2f} {right}", flush=True)
            checkpoint.save({"encoder": encoder.state_dict()}, out / "text.pt")
    checkpoint.save({"encoder": encoder.state_dict()}, out / "text.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train(given.out, given.minutes)


if __name__ == "__main__":
    main()
