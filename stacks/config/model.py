"""`StackConfig`: a whole environment's config, resolved."""

from typing import Any, cast

from pydantic import BaseModel, Field, model_validator

from stacks.config import vocabulary as v
from stacks.config.environments import Environment
from stacks.config.kinds import Section
from stacks.config.platform import Platform
from stacks.config.services import Model, Service


class StackConfig(Section):
    """Everything that the program of an environment is told."""

    environment: Environment
    """Which environment this is; the name of its file."""
    platform: Platform
    services: dict[v.ServiceName, Service] = Field(default={})
    """By name."""

    @property
    def protected(self) -> bool:
        """Whether what cannot be had again refuses to be deleted."""
        given = self.platform.protected
        return self.environment is Environment.PROD if given is None else given

    @model_validator(mode="before")
    @classmethod
    def _models_are_named_like_their_service(cls, tree: Any) -> Any:
        if not isinstance(tree, dict) or not isinstance(tree.get("services"), dict):  # pyright: ignore[reportUnknownMemberType]
            return cast("Any", tree)
        given = cast("dict[str, Any]", tree)
        services: dict[str, Any] = {}
        for name, service in cast("dict[str, Any]", given["services"]).items():
            services[name] = service
            if isinstance(service, dict):
                entry = cast("dict[str, Any]", service)
                model = entry.get("model", {})
                services[name] = {**entry, "model": {"name": name, **model} if isinstance(model, dict) else model}
        return {**given, "services": services}


DERIVED: dict[tuple[type[BaseModel], str], str] = {
    (Service, "model"): "the service's name",
    (Model, "name"): "the service's name",
}
"""Keys that a file may leave out though the model has no default for them, with what they are then."""
