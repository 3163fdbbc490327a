"""What can go wrong in a pipeline; the docstring of a class is its message."""

from __future__ import annotations


class PipelineError(Exception):
    """A model could not do its work."""

    def __str__(self) -> str:
        return super().__str__() or (self.__doc__ or "").strip()


class ModelMissing(PipelineError):
    """No model is configured for what was asked."""


class WeightsRefused(PipelineError):
    """The weights do not match their recorded SHA-256 or format version."""


class PassFailed(PipelineError):
    """The encoder's graph does not compute."""


class ModelUnavailable(PipelineError):
    """A model is down, late or overloaded; `stage` names the model or store and `reason` what happened."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[type[ModelUnavailable], tuple[str, str]]:
        return type(self), (self.stage, self.reason)
