from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import Unavailable
from limner.core.ids import uuid7
from limner.core.quote import Note
from limner.core.request import MAX_COUNT, Policy
from limner.jobs.seed import as_asked, drawn_seed
from tests.fakes import Desk, done, limner, model, request, vendor


@given(st.text())
def test_a_drawn_seed_and_all_that_follow_it_fit_an_int32(job_id):
    assert 0 <= drawn_seed(job_id) <= 2**31 - 1 - (MAX_COUNT - 1)


def test_a_job_draws_the_same_seed_for_ever_and_each_job_its_own():
    assert drawn_seed("0190-job") == drawn_seed("0190-job") == 283431102
    assert len({drawn_seed(uuid7()) for _ in range(500)}) == 500


def test_a_request_as_it_was_asked_holds_only_a_seed_that_somebody_chose():
    drawn = request(seed=drawn_seed("job"))
    assert as_asked(drawn, "job") == request(seed=None)
    assert as_asked(request(seed=7), "job") == request(seed=7)
    assert as_asked(drawn, "another job") == drawn


async def test_a_seed_that_nobody_asked_for_keeps_no_model_out_and_makes_no_note(home):
    seedless = model(takes_seed=False)
    async with limner(home, vendor(Desk()), models=[seedless]) as app:
        plain = await app.draw(request(seed=None, policy=Policy(strict=True)))
        asked = await app.draw(request(seed=7))
    assert (plain.state, plain.receipt.notes, plain.images[0].seed) == ("succeeded", (), None)
    assert plain.request.seed == drawn_seed(plain.id)
    assert asked.receipt.notes == (Note(field="seed", message="ignored: the model takes none"),)


async def test_a_drawn_seed_is_sent_shown_and_the_same_again_on_a_retry(home):
    desk = Desk(submits=[Unavailable("503"), done()])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(seed=None))
    assert [call.request.seed for call in desk.calls] == [drawn_seed(job.id)] * 2
    assert (job.images[0].seed, job.receipt.notes) == (drawn_seed(job.id), ())
