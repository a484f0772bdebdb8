"""What an order costs and how long it takes: before it is placed, and after. Pure."""

from decimal import ROUND_CEILING, Decimal

from limner.catalog.model import Model, Price, PriceRow
from limner.core.quote import Priced, PricePart, PriceUnit
from limner.core.request import GenerateRequest

_MILLION = Decimal(1_000_000)
_Term = tuple[str, PriceUnit, Decimal, Decimal]
"""What is paid for, its unit, dollars for one, and how many."""


def estimate_usd(request: GenerateRequest, model: Model) -> Decimal | None:
    """Dollars for all pictures of a fitted request; None when price or amount are not known."""
    terms = _terms(request, model)
    return None if terms is None else sum((usd * amount for _, _, usd, amount in terms), Decimal(0))


def explain(request: GenerateRequest, model: Model) -> Priced | None:
    """How `estimate_usd` came to its figure, part by part; None when there is none."""
    terms = _terms(request, model)
    if terms is None or model.price is None:
        return None
    parts = tuple(
        PricePart(what=what, unit=unit, usd=usd, amount=amount) for what, unit, usd, amount in terms
    )
    return Priced(parts=parts, source=model.price.source, read_on=model.price.read_on)


def settled_usd(
    request: GenerateRequest, model: Model, tokens: dict[str, int], seconds: float | None
) -> Decimal | None:
    """Dollars by what the vendor counted; None when its count says nothing about the price."""
    price = model.price
    if price is None:
        return None
    if price.tokens and tokens:
        return sum(
            (price.tokens.get(kind, Decimal(0)) * n / _MILLION for kind, n in tokens.items()), Decimal(0)
        )
    if price.unit == "second" and seconds is not None:
        return _row(price, request) * Decimal(str(seconds))
    return None


def estimate_s(request: GenerateRequest, model: Model) -> float | None:
    """Typical seconds to the last picture of a fitted request, None when the catalog gives no figure."""
    if model.seconds_per_megapixel is None or request.size is None:
        return model.seconds
    steps = 1.0
    if model.steps is not None and request.steps is not None:
        steps = request.steps / model.steps.default
    drawn = float(megapixels(request)) * request.count * model.seconds_per_megapixel * steps
    return drawn + (model.seconds or 0.0)


def megapixels(request: GenerateRequest) -> Decimal:
    """Millions of pixels of one picture; the request must have its size set."""
    width, height = request.size or (0, 0)
    return Decimal(width * height) / _MILLION


def _terms(request: GenerateRequest, model: Model) -> list[_Term] | None:
    """What the price is the sum of; None when price or amount are not known."""
    price = model.price
    if price is None:
        return None
    usd = _row(price, request) * _effort(price, request)
    pictures = Decimal(request.count)
    match price.unit:
        case "image":
            return [("pictures", "image", usd, pictures), *_besides(price, request)]
        case "token":
            return [("pictures", "image", usd, pictures), *_besides(price, request), *_words(price, request)]
        case "megapixel" if request.size is not None:
            drawn = _megapixels(price, request) * pictures
            return [("megapixels", "megapixel", usd, drawn), *_besides(price, request)]
        case "megapixel":
            return None
        case "second":
            seconds = estimate_s(request, model)
            if usd and seconds is None:
                return None
            return [("seconds", "second", usd, Decimal(str(seconds or 0))), *_besides(price, request)]
        case "call":
            return [("order", "call", usd, Decimal(1)), *_besides(price, request)]


def _besides(price: Price, request: GenerateRequest) -> list[_Term]:
    """Previews and input pictures."""
    terms: list[_Term] = [
        ("previews", "image", price.preview_usd, Decimal(request.partial_images)),
        ("input pictures", "image", price.input_usd, Decimal(len(request.inputs))),
    ]
    return [term for term in terms if term[2] * term[3]]


def _words(price: Price, request: GenerateRequest) -> list[_Term]:
    """The prompt's tokens, one for every character: more than any script needs, so that the bill is never
    above the quote."""
    usd = price.tokens.get("text_in", Decimal(0)) / _MILLION
    return [("prompt tokens", "token", usd, Decimal(len(request.prompt)))] if usd else []


def _row(price: Price, request: GenerateRequest) -> Decimal:
    return next((row.usd for row in price.rows if _fits(row, request)), price.usd)


def _fits(row: PriceRow, request: GenerateRequest) -> bool:
    width, height = request.size or (0, 0)
    if row.operation not in (None, request.operation):
        return False
    if row.size is not None and row.size != (width, height):
        return False
    if row.max_pixels is not None and width * height > row.max_pixels:
        return False
    return all(request.options.get(name) == value for name, value in row.options.items())


def _effort(price: Price, request: GenerateRequest) -> Decimal:
    if price.steps is None or request.steps is None:
        return Decimal(1)
    return max(Decimal(1), Decimal(request.steps) / price.steps)


def _megapixels(price: Price, request: GenerateRequest) -> Decimal:
    exact = megapixels(request)
    return exact.to_integral_value(ROUND_CEILING) if price.whole_megapixels else exact
