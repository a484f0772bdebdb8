"""An order that nobody took, answered like one that failed: nothing was bought, and there is no job."""

import time

from limner.api.errors import MAX_MESSAGE, cut
from limner.api.unified_shapes import PromptValidation, UnifiedAnswer, UnifiedMetadata, at
from limner.api.unified_words import UnifiedOrder
from limner.core.errors import LimnerError
from limner.core.ids import uuid7


def refused(order: UnifiedOrder, provider: str | None, error: LimnerError) -> UnifiedAnswer:
    """The answer, under an id of its own that names no job."""
    now, length = at(time.time()), len(order.prompt)
    return UnifiedAnswer(
        generation_id=uuid7(),
        provider=provider or "none",
        status="failed",
        prompt=order.prompt,
        project_id=order.project_id,
        images=[],
        total_images=0,
        created_at=now,
        completed_at=now,
        cost=0.0,
        error_message=cut(str(error), MAX_MESSAGE),
        provider_response=None,
        metadata=UnifiedMetadata(
            generation_time=None,
            provider_model=None,
            original_prompt=order.prompt,
            prompt_validation=PromptValidation(
                original_length=length, optimized_length=length, optimization_time=None
            ),
            notes=[],
            attempts=[],
        ),
    )
