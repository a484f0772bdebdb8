"""A scene's facts as a sentence, with varied words; and, back again, nothing: a model has to learn that."""

import random

from training.scenes import Spec
from training.vocabulary import (
    COLORS,
    DEFAULT_COLOR,
    POSITIONS,
    SETTINGS,
    SIZES,
    STYLES,
    SUBJECTS,
    TIMES,
    WEATHER,
)

_PLURAL: dict[str, list[str]] = {
    "lighthouse": ["lighthouses"],
    "castle": ["castles"],
    "house": ["houses", "cottages", "cabins"],
    "windmill": ["windmills"],
    "sailboat": ["sailboats", "boats", "ships"],
    "balloon": ["balloons", "hot air balloons"],
    "car": ["cars"],
    "rocket": ["rockets"],
    "robot": ["robots"],
    "cat": ["cats", "kittens"],
    "fox": ["foxes"],
    "owl": ["owls"],
    "rabbit": ["rabbits", "bunnies"],
    "tree": ["trees"],
    "flower": ["flowers"],
    "mushroom": ["mushrooms", "toadstools"],
}
_PRAISE = [
    "beautiful",
    "pretty",
    "lovely",
    "nice",
    "cute",
    "old",
    "happy",
    "great",
    "lonely",
    "colorful",
    "bright",
    "simple",
    "magical",
]
_TAIL = [
    "highly detailed",
    "high quality",
    "masterpiece",
    "beautiful",
    "best quality",
    "simple",
    "fine art",
    "wallpaper",
    "digital art",
    "for children",
]
_PLACE: dict[str, list[str]] = {
    "plain": [""],
    "sea": [
        "by the {}",
        "near the {}",
        "at the {}",
        "with the {} behind",
        "on the {}",
        "beside the {}",
        "in the {}",
    ],
    "mountains": [
        "in the {}",
        "with {} behind",
        "in front of the {}",
        "near {}",
        "among the {}",
        "under the {}",
        "over the {}",
    ],
    "forest": ["in a {}", "in the {}", "near the {}", "in front of a {}", "over a {}", "in a dark {}"],
    "desert": ["in the {}", "in a {}", "over the {}", "on the {}"],
    "city": ["in the {}", "in a {}", "over the {}", "in front of the {}", "on a {}"],
    "meadow": ["in a {}", "in the {}", "on a {}", "over the {}", "on green {}", "among the {}"],
    "snow": ["in the {}", "in {}", "on the {}", "on {}"],
}
_STYLE: dict[str, list[str]] = {
    "flat": ["{}", "{} style", "a {}"],
    "watercolor": ["{}", "{} painting", "in {}", "{} style", "as a {}"],
    "oil painting": ["{}", "an {}", "{} style", "as an {}"],
    "pixel art": ["{}", "{} style", "in {}", "as {}", "{} game"],
    "line art": ["{}", "{} drawing", "in {}", "{} style", "black {}"],
    "neon": ["{}", "{} style", "in {}", "{} art"],
}


def _word(rng: random.Random, words: list[str]) -> str:
    """The plain word more often than its synonyms."""
    return words[0] if rng.random() < 0.5 else rng.choice(words)


def _article(rng: random.Random, noun: str) -> str:
    return rng.choice(
        [
            ("an " if noun[0] in "aeio" else "a ") + noun,
            noun,
            "the " + noun,
            "one " + noun,
            "a single " + noun,
        ]
    )


def _thing(spec: Spec, rng: random.Random, terse: bool) -> str:
    """Subject with its count, size and colour. A colour of its own may be named; another one always is."""
    if spec.subject is None:
        return ""
    words: list[str] = []
    if spec.size:
        words.append(_word(rng, SIZES[spec.size]))
    if not terse and rng.random() < 0.1:
        words.append(rng.choice(_PRAISE))
    if spec.color:
        words.append(_word(rng, COLORS[spec.color]))
    elif rng.random() < 0.12:
        words.append(COLORS[DEFAULT_COLOR[spec.subject]][0])
    if spec.count > 1:
        noun = " ".join([*words, rng.choice(_PLURAL[spec.subject])])
        numbers = ["two", "two", "a pair of", "2"] if spec.count == 2 else ["three", "three", "3"]
        return f"{rng.choice(numbers)} {noun}"
    singular = [word for word in SUBJECTS[spec.subject] if word not in _PLURAL[spec.subject]]
    noun = " ".join([*words, _word(rng, singular)])
    return noun if terse and rng.random() < 0.6 else _article(rng, noun)


def _place(spec: Spec, rng: random.Random, terse: bool) -> str:
    if spec.setting == "plain":
        return ""
    word = _word(rng, SETTINGS[spec.setting])
    if spec.setting == "snow":
        word = rng.choice(
            ["snow", "snow", "snow", "snowy field", "snowfield", "winter", "ice", "snow covered field"]
        )
    if spec.subject is None:
        return rng.choice(
            [word, "the " + word, f"a {word} landscape", f"{word} scene", f"view of the {word}"]
        )
    return word if terse else rng.choice(_PLACE[spec.setting]).format(word)


def _time(spec: Spec, rng: random.Random, terse: bool) -> str:
    if spec.time == "day" and rng.random() < 0.55:
        return ""
    word = _word(rng, TIMES[spec.time])
    if terse:
        return word
    match word:
        case "day" | "daylight" | "golden hour" | "evening" | "morning" | "moonlight":
            return rng.choice([f"in the {word}", f"{word}", f"during the {word}", f"{word} light"])
        case "sunny" | "moonlit" | "starry":
            return rng.choice(
                [f"{word}", f"{word} sky", f"on a {word} {'day' if word == 'sunny' else 'night'}"]
            )
        case "stars" | "moon":
            return rng.choice([f"under the {word}", f"with {word}", f"night with {word}"])
        case _:
            return rng.choice(
                [f"at {word}", f"at {word}", word, f"{word} sky", f"{word} light", f"{word} time"]
            )


def _weather(spec: Spec, rng: random.Random, terse: bool) -> str:
    if spec.weather == "clear":
        return _word(rng, WEATHER["clear"]) if rng.random() < 0.08 else ""
    word = _word(rng, WEATHER[spec.weather])
    if terse or word.endswith(("y", "ing", "overcast")):
        return (
            rng.choice([word, f"{word} weather", f"{word} sky"])
            if word in ("cloudy", "rainy", "foggy", "misty", "snowy")
            else word
        )
    return rng.choice([word, f"in the {word}", f"with {word}", f"{word} weather"])


def _style(spec: Spec, rng: random.Random, terse: bool) -> str:
    if spec.style == "flat" and rng.random() < 0.6:
        return ""
    word = _word(rng, STYLES[spec.style])
    return word if terse else rng.choice(_STYLE[spec.style]).format(word)


def caption(spec: Spec, rng: random.Random) -> str:
    """One of the many ways to ask for this picture; it fits into 24 tokens nearly always."""
    terse = rng.random() < 0.25
    thing, place = _thing(spec, rng, terse), _place(spec, rng, terse)
    side = f"{rng.choice(['on the', 'at the', 'to the'])} {POSITIONS[spec.side][0]}" if spec.side else ""
    time, weather, style = _time(spec, rng, terse), _weather(spec, rng, terse), _style(spec, rng, terse)
    if terse:
        parts = [thing, side, place, time, weather, style]
        if rng.random() < 0.3:
            rng.shuffle(parts)
        return ", ".join(part for part in parts if part) or "a picture"
    core = [thing, *([side, place] if rng.random() < 0.8 else [place, side])]
    modes = [time, weather]
    if rng.random() < 0.3:
        modes.reverse()
    joint = rng.choice([" ", " ", ", "])
    sentence = joint.join(part for part in [" ".join(part for part in core if part), *modes] if part)
    sentence = sentence or "a scene"
    if style and rng.random() < 0.3 and not style.startswith(("in ", "as ")):
        return f"{style} of {sentence}"
    if style and rng.random() < 0.1:
        return f"{style}, {sentence}"
    sentence = f"{sentence}{rng.choice([', ', ', ', ' '])}{style}" if style else sentence
    if not style and spec.style == "flat" and rng.random() < 0.2:
        sentence = f"a {rng.choice(['picture', 'image', 'photo', 'poster'])} of {sentence}"
    return f"{sentence}, {rng.choice(_TAIL)}" if rng.random() < 0.08 else sentence
