"""Trains the denoiser: `python -m training.denoiser DATA LATENTS TEXT OUT --minutes 70`.

Any number of minutes can be added: a run goes on from OUT/last.pt. A second process with `--helper` trains
beside the first on another core; every few seconds the two meet in OUT and go on from the mean of their
weights. The helper may come late, or stop: the first never waits for it.
"""

import argparse
import json
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from tokenizers import Tokenizer
from torch import Tensor, nn

from training import checkpoint
from training.captions import caption
from training.muon import Muon
from training.scenes import Spec
from training.text import build_encoder, clutter, encode
from training.unet import Denoiser

MEET_S = 12.0


@dataclass(frozen=True, slots=True)
class Settings:
    minutes: float
    batch: int
    rate: float
    muon_rate: float
    cool_share: float = 0.4
    mask_weight: float = 4.0
    late_mask_weight: float = 1.0
    dropout: float = 0.12


class Model(nn.Module):
    """Text encoder and denoiser together: ids [B, L], noisy latents, times -> v."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.text = build_encoder(words)
        self.denoiser = Denoiser()

    def forward(self, ids: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return self.denoiser(x, t, self.text(ids).last_hidden_state)


class Scenes:
    """Latents with their facts; captions are worded anew each time a picture comes up.

    Pairs and threes come up a little less often than they were drawn.
    """

    def __init__(self, data: Path, latents: Path, tokenizer: Tokenizer, seed: int) -> None:
        files = sorted(latents.glob("latents-*.npy"))
        names = [file.name.removeprefix("latents-").removesuffix(".npy") for file in files]
        self.latents = torch.from_numpy(
            np.concatenate([np.load(file) for file in files])
        )  # [N, C, 32, 32] half
        self.masks = torch.from_numpy(np.concatenate([np.load(data / f"masks-{name}.npy") for name in names]))
        self.specs = [
            Spec(**facts) for name in names for facts in json.loads((data / f"specs-{name}.json").read_text())
        ]
        self.scale = 1 / float(self.latents[:4000].float().std())
        self.tokenizer, self.rng = tokenizer, random.Random(seed)
        self._order: list[int] = []

    def draw(self, count: int, dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled latents [B, C, 32, 32], masks [B, 1, 32, 32] in 0..1 and ids [B, L]; some captions are
        empty.
        """
        if len(self._order) < count:
            fewer = (i for i, spec in enumerate(self.specs) if spec.count == 1 or self.rng.random() < 0.6)
            self._order = list(fewer)
            self.rng.shuffle(self._order)
        chosen = [self._order.pop() for _ in range(count)]
        texts = [clutter(caption(self.specs[index], self.rng), self.rng) for index in chosen]
        texts = ["" if self.rng.random() < dropout else text for text in texts]
        masks = self.masks[chosen].float().div(255)[:, None]
        return self.latents[chosen].float() * self.scale, masks, encode(self.tokenizer, texts)


class Details:
    """Windows of 512 px drawings, to be denoised from little noise only: how large pictures are refined."""

    def __init__(self, folder: Path, scale: float, tokenizer: Tokenizer, seed: int) -> None:
        file = next(iter(sorted(folder.glob("latents-*.npy"))))
        self.latents = torch.from_numpy(np.load(file))  # [N, C, 64, 64] half
        name = file.name.removeprefix("latents-").removesuffix(".npy")
        facts = json.loads((folder / f"specs-{name}.json").read_text())
        self.specs = [Spec(**row) for row in facts]
        self.scale, self.tokenizer, self.rng = scale, tokenizer, random.Random(seed)

    def draw(self, count: int, dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        """Like `Scenes.draw`, without masks of its own: zeros."""
        windows, texts = [], []
        for _ in range(count):
            index = self.rng.randrange(len(self.specs))
            y, x = 2 * self.rng.randint(0, 16), 2 * self.rng.randint(0, 16)
            windows.append(self.latents[index, :, y : y + 32, x : x + 32])
            text = caption(self.specs[index], self.rng)
            texts.append("" if self.rng.random() < dropout else text)
        clean = torch.stack(windows).float() * self.scale
        return clean, torch.zeros(count, 1, 32, 32), encode(self.tokenizer, texts)


class Trainer:
    def __init__(
        self, model: Model, scenes: Scenes, settings: Settings, details: Details | None = None
    ) -> None:
        self.model, self.scenes, self.settings, self.details = model, scenes, settings, details
        schedule = DDIMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
        self.signal, self.noise = schedule.sqrt(), (1 - schedule).sqrt()
        self.adam, self.muon = self._optimizers()
        self.loss = math.nan

    def _optimizers(self) -> tuple[torch.optim.Optimizer, Muon]:
        matrices, vectors, others = [], [], []
        for name, weight in self.model.named_parameters():
            plain = any(part in name for part in ("conv_in", "conv_out", "time_embedding", "embeddings"))
            (vectors if weight.ndim < 2 else others if plain or weight.ndim == 3 else matrices).append(weight)
        adam = torch.optim.AdamW(
            [{"params": others, "weight_decay": 1e-2}, {"params": vectors, "weight_decay": 0.0}],
            lr=self.settings.rate,
            betas=(0.9, 0.99),
        )
        return adam, Muon(matrices, lr=self.settings.muon_rate)

    def step(self, done: float, steps: int) -> None:
        """One batch; `done` is the share of the whole training that is over."""
        chosen = self.settings
        pace = min(1.0, (steps + 1) / 100) * min(1.0, max(0.02, (1 - done) / chosen.cool_share))
        for optimizer, rate in ((self.adam, chosen.rate), (self.muon, chosen.muon_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
        late = min(1.0, max(0.0, (done - 0.6) / 0.3))
        weight = chosen.mask_weight + (chosen.late_mask_weight - chosen.mask_weight) * late
        loss, plain = self._loss(weight)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        self.muon.step()
        self.loss = plain if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * plain

    def _batch(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, masks, ids and noise levels in 0..1; an eighth of it details, if there are any."""
        few = count // 8 if self.details else 0
        clean, masks, ids = self.scenes.draw(count - few, self.settings.dropout)
        even = torch.rand(count - few)
        level = torch.where(
            torch.rand(count - few) < 0.15, even, torch.sigmoid(torch.randn(count - few) + 0.2)
        )
        if self.details is None:
            return clean, masks, ids, level
        more = self.details.draw(few, self.settings.dropout)
        pairs = zip((clean, masks, ids), more, strict=True)
        clean, masks, ids = (torch.cat(pair) for pair in pairs)
        return clean, masks, ids, torch.cat([level, 0.35 * torch.rand(few)])

    def _loss(self, mask_weight: float) -> tuple[Tensor, float]:
        count = self.settings.batch
        clean, masks, ids, level = self._batch(count)
        t = (level * 1000).long().clamp(0, 999)
        a, s = self.signal[t].view(-1, 1, 1, 1), self.noise[t].view(-1, 1, 1, 1)
        noise = torch.randn_like(clean)
        noisy, target = a * clean + s * noise, a * noise - s * clean
        with torch.autocast("cpu", torch.bfloat16):
            guess = self.model(ids, noisy, t)
        error = (guess.float() - target).pow(2)
        weights = 1 + mask_weight * masks
        return (error * weights).mean() / weights.mean(), float(error.detach().mean())


class Meeting:
    """Where the first and its helper leave their weights for each other; `round_` counts the meetings."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.theirs, self.round_ = folder / "first.pt", folder / "helper.pt", 0
        self.base: dict[str, Tensor] = {}

    def host(self, model: Model, steps: int) -> int:
        """Takes the helper's weights in, if they are there; returns how many steps they stand for.

        Both moved away from `base`. The mean of the two ways is less noisy but shorter than the first's own
        when the helper was slow, so it is stretched to the first's length.
        """
        state = checkpoint.load(self.theirs)
        if state is None or state["round"] != self.round_ or not steps:
            return 0
        helped = int(state["steps"])
        share = helped / (helped + steps)
        stretch = max(1.0, steps * (helped + steps) / (helped**2 + steps**2))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                if value.is_floating_point():
                    mean = torch.lerp(value, state["weights"][name], share)
                    value.copy_(self.base[name] + stretch * (mean - self.base[name]))
        self.theirs.unlink()
        self.offer(model)
        return helped

    def offer(self, model: Model) -> None:
        self.round_ += 1
        self.base = {name: value.clone() for name, value in model.state_dict().items()}
        checkpoint.save({"round": self.round_, "weights": model.state_dict(), "at": time.time()}, self.ours)

    def visit(self, model: Model, steps: int) -> None:
        """Leaves the helper's weights and waits for the mean. A first that started anew is followed."""
        checkpoint.save({"round": self.round_, "steps": steps, "weights": model.state_dict()}, self.theirs)
        while (state := checkpoint.load(self.ours)) is None or state["round"] == self.round_:
            time.sleep(0.2)
        self.round_ = state["round"]
        model.load_state_dict(state["weights"])


def _assemble(given: argparse.Namespace, settings: Settings) -> Trainer:
    tokenizer = Tokenizer.from_file(str(given.text / "tokenizer.json"))
    seed = random.SystemRandom().randrange(2**31)
    scenes = Scenes(given.data, given.latents, tokenizer, seed)
    details = Details(given.details, scenes.scale, tokenizer, seed) if given.details else None
    torch.manual_seed(0)
    model = Model(tokenizer.get_vocab_size())
    model.text.load_state_dict(torch.load(given.text / "text.pt")["encoder"])
    return Trainer(model, scenes, settings, details)


def lead(given: argparse.Namespace, settings: Settings) -> None:
    trainer, meeting = _assemble(given, settings), Meeting(given.out)
    model, scenes = trainer.model, trainer.scenes
    average = checkpoint.Average(model)
    state = checkpoint.load(given.out / "last.pt")
    clock, steps, seen = checkpoint.Clock(), 0, 0
    if state:
        model.load_state_dict(state["weights"])
        average.weights, average.steps = state["average"], state["steps"]
        trainer.adam.load_state_dict(state["adam"])
        trainer.muon.load_state_dict(state["muon"])
        clock, steps, seen = checkpoint.Clock(state["seconds"]), state["steps"], state["seen"]
        meeting.round_ = state["round"]
    torch.manual_seed(steps + 1)
    meeting.offer(model)
    print(
        f"{len(scenes.specs)} scenes, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M weights",
        flush=True,
    )
    alone = 0
    while (done := clock.seconds / (60 * settings.minutes)) < 1:
        trainer.step(done, steps)
        steps, alone, seen = steps + 1, alone + 1, seen + settings.batch
        if helped := meeting.host(model, alone):
            seen, alone = seen + helped * settings.batch, 0
        average.follow(model)
        if steps % 25 == 0:
            print(
                f"{steps} seen {seen} {clock.seconds:.0f}s loss {trainer.loss:.4f} meetings {meeting.round_}",
                flush=True,
            )
        if steps % 100 == 0 or done > 1:
            _keep(given.out, trainer, average, meeting, steps=steps, seen=seen, clock=clock)
    _keep(given.out, trainer, average, meeting, steps=steps, seen=seen, clock=clock)
    print("done", flush=True)


def _keep(
    out: Path,
    trainer: Trainer,
    average: checkpoint.Average,
    meeting: Meeting,
    *,
    steps: int,
    seen: int,
    clock: checkpoint.Clock,
) -> None:
    whole = {
        "weights": trainer.model.state_dict(),
        "average": average.weights,
        "adam": trainer.adam.state_dict(),
        "muon": trainer.muon.state_dict(),
        "steps": steps,
        "seen": seen,
        "seconds": clock.seconds,
        "round": meeting.round_,
        "scale": trainer.scenes.scale,
    }
    checkpoint.save(whole, out / "last.pt")


def help_(given: argparse.Namespace, settings: Settings) -> None:
    """Trains until it is stopped. How far the whole is comes from the first's log of seconds."""
    trainer, meeting = _assemble(given, settings), Meeting(given.out)
    model = trainer.model
    torch.manual_seed(random.SystemRandom().randrange(2**31))
    while (state := checkpoint.load(meeting.ours)) is None:
        time.sleep(1)
    model.load_state_dict(state["weights"])
    meeting.round_, total = state["round"], 0
    while True:
        kept = checkpoint.load(given.out / "last.pt")
        before_s = kept["seconds"] + time.time() - (given.out / "last.pt").stat().st_mtime if kept else 0.0
        start, steps = time.monotonic(), 0
        while time.monotonic() - start < MEET_S:
            trainer.step((before_s + time.monotonic() - start) / (60 * settings.minutes), total)
            steps, total = steps + 1, total + 1
        meeting.visit(model, steps)
        print(f"{total} loss {trainer.loss:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "latents", "text", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--muon-rate", type=float, default=1e-2)
    parser.add_argument("--cool-share", type=float, default=0.4)
    parser.add_argument("--details", type=Path, help="latents and facts of 512 px drawings")
    parser.add_argument("--helper", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(given.minutes, given.batch, given.rate, given.muon_rate, given.cool_share)
    (help_ if given.helper else lead)(given, settings)


if __name__ == "__main__":
    main()
