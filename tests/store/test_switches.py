from limner.store.schema import provider_configs
from limner.store.switches import Switches


async def test_a_switch_is_seen_here_at_once_and_elsewhere_at_the_next_look(store):
    here, there = Switches(store.connections), Switches(store.connections)
    await here.turn("runware", "Runware", enabled=False)
    assert (here.off("runware"), there.off("runware")) == (True, False)
    await there.look()
    assert (there.off("runware"), there.off("leonardo")) == (True, False)
    await here.turn("runware", "Runware", enabled=True)
    assert here.off("runware") is False


async def test_a_provider_without_a_row_gets_one(store):
    switches = Switches(store.connections)
    await switches.turn("local", "Limner's engine", enabled=False)
    row = await store.connections.read(
        lambda c: c.execute(provider_configs.select().where(provider_configs.c.provider == "local")).one()
    )
    assert (row.name, row.is_enabled, switches.off("local")) == ("Limner's engine", False, True)
