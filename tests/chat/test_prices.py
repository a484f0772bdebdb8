"""The price offered is the price charged: with the shipped catalogue, at stand-ins of the real vendors."""

from decimal import Decimal

from limner.app import Limner
from limner.chat.names import read_size
from limner.chat.press import charged, press
from limner.chat.tool import SIZES, Offered, generate_image
from limner.chat.wish import Wish
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.router.policy import TIERS
from limner.simulator.app import Simulator


async def test_every_offer_of_every_tier_and_size_is_charged_as_offered_and_never_more(tmp_path):
    settings = Settings(home=tmp_path, disabled_providers=("local",))
    async with Simulator(seed=7, speed=200) as simulator, Limner(simulated(settings, simulator)) as limner:
        pressed = 0
        for place, tier in enumerate(TIERS):
            size = SIZES[1 + place]
            offered = await generate_image(limner, {"prompt": "a fox", "quality": tier, "size": size})
            assert isinstance(offered, Offered), offered
            offers = [(offered.provider, offered.model, offered.model_key, offered.cost)]
            offers += [
                (one.provider, one.model, one.model_key, one.cost) for one in offered.available_alternatives
            ]
            for provider, model, key, cost in offers:
                wish = Wish("a fox", provider, key, read_size(offered.size), quality=tier)
                by_name = Wish("a fox", provider, model, read_size(offered.size), quality=tier)
                assert by_name.meant(limner.models()) == wish.meant(limner.models())
                done = await press(limner, wish)
                assert (done.job.state, done.instead_of) == ("succeeded", None), (provider, model)
                assert charged(done.job, done.price_usd)[0] == cost
                assert (done.job.receipt.cost_usd or Decimal(0)) <= cost
                assert done.job.images[0].provider == provider
                pressed += 1
        assert pressed >= 12
