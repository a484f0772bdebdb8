"""The shelf: templates and tests of them, and what each user keeps."""

from contextlib import suppress

from limner.core.errors import InvalidRequest, NotFound, StorageError
from limner.core.job import Artifact, Job
from limner.core.prompting import Prompting
from limner.core.shelf import (
    Experiment,
    ExperimentResult,
    NewExperiment,
    NewTemplate,
    Preferences,
    Suggestions,
    Template,
    Verdict,
)
from limner.prompts import templates
from limner.prompts.tally import arm, best, leader, likings
from limner.store.prompts import PromptStore


class Shelf:
    """The verbs of templates, tests and preferences. `by` is the caller."""

    def __init__(self, kept: PromptStore) -> None:
        self._kept = kept

    # -- templates ---------------------------------------------------------------------------------------

    async def add_template(self, new: NewTemplate, by: str) -> Template:
        """The next version of the name; earlier ones stay. Raises `InvalidRequest`."""
        templates.check(new.text)
        return _told(await self._kept.add_template(new, by))

    async def template(self, ref: str) -> Template:
        """One version, from `name` or `name@version`. Raises `NotFound`."""
        return _told(await self._kept.template(*templates.ref(ref)))

    async def templates(self) -> list[Template]:
        """The newest version of each, by name."""
        return [_told(one) for one in await self._kept.templates()]

    async def versions(self, name: str) -> list[Template]:
        """All of one name, the newest first. Raises `NotFound`."""
        return [_told(one) for one in await self._kept.versions(name)]

    # -- tests -------------------------------------------------------------------------------------------

    async def begin(self, new: NewExperiment, by: str) -> ExperimentResult:
        """Begin a test; a template named without its version is taken as it is now. Raises `InvalidRequest`
        and `Conflict`."""
        arms = tuple([await self._arm(ref) for ref in new.arms])
        if len(set(arms)) < len(arms):
            raise InvalidRequest("arms: name each template once", "arms")
        return await self._result(await self._kept.add_experiment(new.model_copy(update={"arms": arms}), by))

    async def tests(self) -> list[ExperimentResult]:
        """All, the newest first, with what came of them so far."""
        return [await self._result(one) for one in await self._kept.experiments()]

    async def test(self, name: str) -> ExperimentResult:
        """Raises `NotFound`."""
        return await self._result(await self._kept.experiment(name))

    async def end(self, name: str) -> ExperimentResult:
        """Jobs get its first template from now on. Raises `NotFound`."""
        return await self._result(await self._kept.end_experiment(name))

    async def tried(self, job: Job) -> None:
        """Note which template a job drew, if it is part of a test. The job is on its way by now: a count that
        cannot be written is no reason to tell its caller otherwise."""
        trial = _trial(job.request.prompting)
        if trial is None:
            return
        with suppress(StorageError):
            await self._kept.add_trial(job.id, *trial)

    # -- preferences -------------------------------------------------------------------------------------

    async def judge(self, image: Artifact, verdict: Verdict, by: str) -> Preferences:
        """What a user thinks of a picture; the last word counts."""
        request = image.recipe.request
        done = None if request.prompting is None else request.prompting.done
        await self._kept.judge(
            by,
            image.id,
            verdict,
            style=request.style if done is None else done.style_preset or request.style,
            size=f"{image.width}x{image.height}",
            provider=image.provider,
            trial=_trial(request.prompting),
        )
        return await self.preferences(by)

    async def preferences(self, by: str) -> Preferences:
        """All that is known of what the user keeps, and what follows from it."""
        counts = await self._kept.judged(by)
        styles, sizes, providers = (likings(counts[kind]) for kind in ("style", "size", "provider"))
        return Preferences(
            user=by,
            judged=sum(one.kept + one.deleted for one in sizes),
            styles=styles,
            sizes=sizes,
            providers=providers,
            suggestions=Suggestions(style_preset=best(styles), size=best(sizes), provider=best(providers)),
        )

    async def forget(self, by: str) -> int:
        """Erase all of it; how many verdicts there were. Tests lose them, too."""
        return await self._kept.forget(by)

    # -- inside ------------------------------------------------------------------------------------------

    async def _arm(self, ref: str) -> str:
        try:
            return (await self._kept.template(*templates.ref(ref))).ref
        except NotFound as error:
            raise InvalidRequest(f"arms: {error}", "arms") from error

    async def _result(self, test: Experiment) -> ExperimentResult:
        counts = await self._kept.arms(test.name)
        results = tuple(arm(ref, counts) for ref in test.arms)
        return ExperimentResult(**test.model_dump(), results=results, leader=leader(results))


def _told(template: Template) -> Template:
    return template.model_copy(update={"variables": templates.variables(template.text)})


def _trial(prompting: Prompting | None) -> tuple[str, str] | None:
    """The test a request was part of, and the template it drew."""
    done = None if prompting is None else prompting.done
    if done is None or done.experiment is None or done.template is None:
        return None
    return done.experiment, done.template
