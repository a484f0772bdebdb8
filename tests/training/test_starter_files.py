"""The shipped starter model: small enough, whole, and its tokenizer knows every word it promises to."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

STARTER = Path(__file__).parents[2] / "src/limner/engine/starter"
CARD = json.loads((STARTER / "model.json").read_text())


def test_all_shipped_files_together_stay_within_sixteen_megabytes() -> None:
    assert sum(file.stat().st_size for file in STARTER.iterdir() if file.suffix != ".py") <= 16_000_000


@pytest.mark.parametrize("name", sorted(CARD["files"]))
def test_a_shipped_file_is_the_one_that_was_exported(name: str) -> None:
    assert hashlib.sha256((STARTER / name).read_bytes()).hexdigest() == CARD["files"][name]


def test_the_tokenizer_knows_every_word_of_the_vocabulary() -> None:
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    tables = [table for name, table in CARD["vocabulary"].items() if name != "filler"]
    phrases = [phrase for table in tables for phrases in table.values() for phrase in phrases]
    phrases += CARD["vocabulary"]["filler"]
    unknown = [phrase for phrase in phrases if CARD["unk_id"] in tokenizer.encode(phrase).ids]
    assert unknown == []


def test_an_unknown_word_stays_visible() -> None:
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    assert tokenizer.encode("a red zeppelin").tokens == ["<s>", "a", "red", "<unk>", "</s>"]


def test_case_width_and_punctuation_do_not_matter() -> None:
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    assert (
        tokenizer.encode("A Red FOX, Watercolor!").ids
        == tokenizer.encode("a red \uff46\uff4f\uff58 watercolor").ids
    )


def test_the_card_says_what_an_engine_needs() -> None:
    shape = {
        key: CARD[key]
        for key in ("latent_channels", "factor", "max_tokens", "native_px", "prediction", "spacing")
    }
    assert shape == {
        "latent_channels": 6,
        "factor": 8,
        "max_tokens": 24,
        "native_px": 256,
        "prediction": "v_prediction",
        "spacing": "trailing",
    }
    assert [len(row) for row in CARD["preview"]["matrix"]] == [3] * 6
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in CARD["files"].values())
