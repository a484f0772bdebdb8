"""Does a message ask for a picture? By rules, without a model; in doubt it does not. Pure."""

import re
from dataclasses import dataclass

from limner.core.request import says_something


def _any(words: str) -> str:
    """One of the words, which stand between blanks; `_` is a blank within one."""
    return f"(?:{'|'.join(words.split())})".replace("_", " ")


_POLITE = (
    rf"(?:{_any('please pls hey hi hello ok okay now so then and bitte por_favor limner')}[,!.]?\s+"
    r"|s'il (?:te|vous) pla[iî]t[,!.]?\s+)*"
)
_ASKING = (
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+|kindly\s+|maybe\s+|just\s+)?|i(?:'d|"
    r" would) like you to\s+|"
    r"i(?: want|'d love| need) you to\s+|let(?:'s| us)\s+|try to\s+|go ahead and\s+|would you mind\s+)?"
)
_NOUN = _any(
    "images? pictures? pics? photos? photographs? illustrations? paintings? drawings? "
    "sketch(?:es)? portraits? "
    "logos? icons? posters? wallpapers? artworks? concept_art pixel_art line_art art cartoons? avatars? "
    "graphics? watercolou?rs? murals? stickers? comics? banners? renderings? renders? caricatures? "
    "landscapes? selfies?"
)
_HALF = _any(
    "classifiers? tags? urls? files? folders? director galler components? process recogn librar formats? "
    "sizes? load pars uploads? apis? viewers? editors? captions? descriptions? alt\\b frames? generators? "
    "models? servers? registr pipelines? datasets? metadata search compress books?\\b histor class\\b "
    "museums? galer movements? fields? buttons? elements? tutorials? prompts? ideas?"
)
_NO_PICTURE = rf"(?!\s*[-./]?\s*{_HALF})"
"""What makes a picture's word the first half of another."""
_NOT_OURS = (
    rf"\b{_any('docker disk iso container system vm boot mirror base big bigger whole full raster')}\s+$"
)
_LINKS = _any("that which for to of in with from about and or on what how")
_WORDS = rf"(?:(?!{_LINKS}\b)[\w'-]+,?\s+){{0,5}}?"
_SHOWING = _any("of showing depicting featuring")

_DRAW = _any("draw(?:ing)? paint(?:ing)? sketch(?:ing)? illustrate doodle depict visuali[sz]e photograph")
_STRONG = re.compile(rf"{_POLITE}{_ASKING}{_DRAW}\s+(?:for )?(?:me|us)?\s*(?P<what>.+)", re.DOTALL)
_ABSTRACT = _any(
    "conclusions? attention comparisons? parallels? distinctions? inferences? lots straws blood "
    "contract blank "
    "lessons? inspiration breath points? concept idea principle difference argument plan outline examples? "
    "data dataset results statistics metrics table uml flowchart proposal salary bath crowd line_between "
    "fire_from picture_of_the_(?:economic|political|situation|market)"
)
_IDIOM = re.compile(
    rf"(?:{_any('a an the any some your my more up on out from upon near back in this that these those all')}"
    rf"\s+)*(?:\w+\s+)?{_ABSTRACT}\b|{_any('up on out upon from back near')}\b"
)
"""`draw a conclusion`: the verb, and no picture."""
_MAKE = _any(
    "generate create make design produce render give show send get do whip_up cook_up "
    "come_up_with generating "
    "creating making drawing"
)
_WEAK = re.compile(
    rf"{_POLITE}(?:{_ASKING}{_MAKE}\s+|i(?:'d| would) (?:like|love)(?: to (?:see|have|get))?\s+|"
    r"i (?:want|need)(?: to (?:see|have|get))?\s+|(?:can|could|may) i (?:please )?(?:have|get|see)\s+)"
    rf"(?:for )?(?:me\s+|us\s+)?(?P<what>(?P<before>{_WORDS}){_NOUN}\b{_NO_PICTURE}.*)",
    re.DOTALL,
)
_PERSONS = _any("i you he she it we they my your his her our their the this that who")
_BARE = re.compile(
    rf"{_POLITE}(?P<what>(?!{_PERSONS}\b)(?:(?:a|an|another|one more|some)\s+)?(?P<before>{_WORDS}){_NOUN}\s+"
    rf"{_SHOWING}\s+\S.*)",
    re.DOTALL,
)
_NO_SCENE = _any(
    "scenario world_(?:where|in_which) situation case react html page list component template view company "
    "function"
)
_RENDER = re.compile(
    rf"{_POLITE}{_ASKING}(?:imagine|render)[:\s]+(?P<what>(?:a|an|two|three|some)\s+(?!{_NO_SCENE})\S.*)",
    re.DOTALL,
)

_BILD = _any("bild foto logo poster gemälde zeichnung illustration porträt")
_GERMAN = re.compile(
    r"(?:bitte\s+|hallo[,!]?\s+)*(?:(?:kannst|könntest|würdest) du\s+(?:mir\s+|uns\s+|bitte\s+)*)?"
    r"(?:(?:zeichne|zeichnen|male|skizziere)\s+(?:mir\s+|uns\s+|bitte\s+)*(?!ich\b|man\b|wir\b)(?P<a>.+)|"
    r"mal\s+(?:mir\s+|uns\s+|bitte\s+)*(?P<b>ein(?:e|en)?\s+.+)|"
    r"(?:erstelle?|erzeuge?|generiere?|mache?|entwirf|zeige?)\s+(?:mir\s+|uns\s+|bitte\s+)*"
    rf"(?P<c>(?:ein(?:e|en)?\s+)?(?:[\wäöüß]+\s+){{0,3}}?{_BILD}\b.*)|"
    rf"(?P<d>ein(?:e|en)?\s+(?:[\wäöüß]+\s+){{0,3}}?{_BILD}\s+(?:von|mit|eines|einer)\s+.+)|"
    r"(?P<e>ein(?:e|en)?\s+.+)\s+(?:zeichnen|malen|skizzieren))",
    re.DOTALL,
)
_TABLEAU = _any("image photo dessin illustration affiche logo portrait peinture tableau")
_FRENCH = re.compile(
    r"(?:(?:peux|pourrais)-tu\s+(?:me\s+)?|(?:pouvez|pourriez)-vous\s+(?:me\s+)?|"
    r"s'il (?:te|vous) pla[iî]t,?\s+)*"
    r"(?:(?:dessine|dessiner|dessinez|peins|peindre|peignez)(?:-(?:moi|nous))?\s+(?P<a>.+)|"
    r"(?:cr[ée]e[rz]?|g[ée]n[èé]re[rz]?|fais|faire|faites|montrez?)(?:-(?:moi|nous))?\s+"
    rf"(?P<c>une?\s+(?:[\wéèêà]+\s+){{0,2}}?{_TABLEAU}\b(?!\s+(?:docker|excel|crois)).*)|"
    rf"(?P<d>une?\s+{_TABLEAU}\s+(?:de|d'|du|avec)\s*.+))",
    re.DOTALL,
)
_IMAGEN = _any("imagen foto fotograf[íi]a dibujo ilustraci[óo]n cartel logo retrato pintura")
_SPANISH = re.compile(
    r"(?:¿?\s*(?:puedes|podr[íi]as|puede)\s+|por favor,?\s+)*"
    r"(?:(?:dibuja|dib[úu]jame|dibujar|dibujarme|pinta|p[íi]ntame|pintar|pintarme)\s+(?P<a>.+)|"
    r"(?:crea|cr[ée]ame|crear|genera|gen[ée]rame|generar|haz|hazme|hacer|mu[ée]strame)\s+"
    rf"(?P<c>una?\s+(?:[\wáéíóúñ]+\s+){{0,2}}?{_IMAGEN}\b(?!\s+(?:de )?docker).*)|"
    rf"(?P<d>una?\s+{_IMAGEN}\s+(?:de|con)\s+.+))",
    re.DOTALL,
)
_ASKED_ABOUT = re.compile(
    _any(
        "what why how when who whom whose which where is are was were does do did has have should explain "
        "define describe tell write translate summari[sz]e list compare recommend fix implement "
        "was wie warum "
        "wer wann welche wo ist sind erkl[äa]re? qu['e] qu'est pourquoi comment quel quelle qui "
        "est-ce explique "
        "qué por_qué cómo quién cuál dónde cuándo explica"
    )
    + r"\b"
)
_NOT = _any(
    "don'?t do_not never no_need_to stop without instead_of rather_than nicht kein keine ne pas sin no"
)
_TO_DRAW = _any(
    "draw paint generat creat mak sketch images?\\b pictures?\\b zeichn mal(?:en|e)\\b bild "
    "dessin dibuj imagen"
)
_NEGATED = re.compile(rf"\b{_NOT}\s+(?:\w+\s+){{0,2}}?{_TO_DRAW}")
_SAYS_SO = re.compile(r"(?<!who )(?<!that )(?<!which )\b(?:is|was|are|were|has|means)\b")
_GENERIC = re.compile(
    rf"(?:(?:a|an|another|one more|some|the)\s+)?(?:images?|pictures?|pics?|photos?)\s+{_SHOWING}\s+|"
    r"ein(?:e|en)?\s+bild\s+(?:von|mit)\s+|une\s+image\s+(?:de |d'|du |avec )|una\s+imagen\s+(?:de|con)\s+"
)
"""The frame around what is to be drawn."""
_TAIL = re.compile(rf"[\s,]*(?:{_any('please for_me for_us bitte por_favor')})?[\s.!?]*$")
_POINTING = frozenset(
    {"it", "that", "this", "them", "one", "again", "something", "es", "das", "ça", "lo", "eso"}
)
_APOSTROPHE = "\u2019"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message asks for a picture. `description` is what it shows; empty where only `it` was said."""

    description: str


def wanted(text: str) -> Wanted | None:
    """What picture the message asks for, None when it asks for none: a question about pictures is not one."""
    plain = text.strip().strip("\"'\u201c\u201d")
    low = plain.lower().replace(_APOSTROPHE, "'")
    if not says_something(plain) or len(low) != len(plain) or _NEGATED.search(low):
        return None
    found = _english(low) or _elsewhere(low)
    if found is None:
        return None
    return Wanted(_description(plain[found[0] : found[1]]))


def _english(low: str) -> tuple[int, int] | None:
    """Where the message says what is to be drawn."""
    if _ASKED_ABOUT.match(low) and not low.startswith("do a ") and not low.startswith("do an "):
        return None
    strong = _STRONG.fullmatch(low)
    if strong is not None:
        return None if _IDIOM.match(strong["what"]) else strong.span("what")
    for way in (_WEAK, _RENDER):
        found = way.fullmatch(low)
        if found is not None and not _compound(found):
            return found.span("what")
    bare = _BARE.fullmatch(low)
    if bare is None or low.endswith("?") or _SAYS_SO.search(low) or _compound(bare):
        return None
    return bare.span("what")


def _compound(found: re.Match[str]) -> bool:
    """The picture's word is half of another, such as `docker image`."""
    return bool(re.search(_NOT_OURS, found.groupdict().get("before") or ""))


def _elsewhere(low: str) -> tuple[int, int] | None:
    if _ASKED_ABOUT.match(low.lstrip("¿ ")):
        return None
    for way in (_GERMAN, _FRENCH, _SPANISH):
        found = way.fullmatch(low.rstrip("?!. "))
        if found is not None:
            name = next(key for key, value in found.groupdict().items() if value is not None)
            return found.span(name)
    return None


def _description(said: str) -> str:
    """Without the frame: `a picture of a fox` becomes `a fox`; `an oil painting of a fox` stays."""
    said = _TAIL.sub("", said)
    low = said.lower()
    frame = _GENERIC.match(low)
    said = said[frame.end() :] if frame else said
    return "" if said.lower() in _POINTING else said
