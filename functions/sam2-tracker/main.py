"""Nuclio's entry points: the model loads in `init_context`, then `handler` answers CVAT's requests."""

from typing import Any

from promptable.serving.respond import respond


def init_context(context: Any) -> None:
    """Load the model, once per worker process. An error here keeps the function from becoming ready."""
    from promptable.serving.tracker.function import load_function

    context.user_data.answer = load_function(context.logger)


def handler(context: Any, event: Any) -> Any:
    """Answer one request of CVAT."""
    return respond(context, event)
