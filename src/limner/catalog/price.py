"""What an order costs and how long it takes, before it is placed. Pure."""

from decimal import Decimal

from limner.catalog.model import Model
from limner.core.request import GenerateRequest


def estimate_usd(request: GenerateRequest, model: Model) -> Decimal | None:
    """Dollars for all pictures of a fitted request; None when price or amount are not known."""
    if model.price is None:
        return None
    match model.price.unit:
        case "image":
            return model.price.usd * request.count
        case "megapixel":
            return None if request.size is None else model.price.usd * megapixels(request) * request.count
        case "call":
            return model.price.usd
        case "second" | "token":
            return None if model.price.usd else Decimal(0)


def estimate_s(request: GenerateRequest, model: Model) -> float | None:
    """Typical seconds to the last picture of a fitted request, None when the catalog gives no figure."""
    if model.seconds_per_megapixel is None or request.size is None:
        return None
    steps = 1.0
    if model.steps is not None and request.steps is not None:
        steps = request.steps / model.steps.default
    return float(megapixels(request)) * request.count * model.seconds_per_megapixel * steps


def megapixels(request: GenerateRequest) -> Decimal:
    """Millions of pixels of one picture."""
    width, height = request.size or (0, 0)
    return Decimal(width * height) / 1_000_000
