"""What is published of this folder: the components, and how their types become a schema."""

import ast
import inspect
import sys
from typing import is_typeddict

import pulumi
from pulumi.provider.experimental.analyzer import Analyzer

from components.batch_scoring import BatchScoring
from components.budget import Budget
from components.cluster import Cluster
from components.compute_pool import ComputePool
from components.data_store import DataStore
from components.delivery import Delivery
from components.feature_store import FeatureStore
from components.model_registry import ModelRegistry
from components.model_service import ModelService
from components.monitoring import Monitoring
from components.network import Network
from components.retraining import Retraining
from components.service_monitoring import ServiceMonitoring
from components.service_namespace import ServiceNamespace
from components.stream_scoring import StreamScoring

PACKAGE = "slipway"
"""First part of every type token."""

COMPONENTS: tuple[type[pulumi.ComponentResource], ...] = (
    Network,
    DataStore,
    ModelRegistry,
    FeatureStore,
    Cluster,
    ComputePool,
    ServiceNamespace,
    ModelService,
    BatchScoring,
    StreamScoring,
    Monitoring,
    ServiceMonitoring,
    Retraining,
    Delivery,
    Budget,
)
"""In the order in which a platform needs them."""


class InheritingAnalyzer(Analyzer):
    """The SDK's analyzer, which also finds what is written beside an inherited argument.

    A TypedDict has all arguments of its bases but not their source, which is where the SDK looks for docstrings.
    """

    def get_docstring(self, typ: type, name: str) -> str | None:
        """The docstring of attribute `name` of `typ` or of the nearest base that has it."""
        found = super().get_docstring(typ, name)
        for base in bases(typ):
            if found is not None:
                break
            found = self.get_docstring(base, name)
        return found


def bases(typ: type) -> list[type]:
    """Bases of a TypedDict as its source names them (at run time, before Python 3.12, it has forgotten them)."""
    if not is_typeddict(typ):
        return []
    definition = ast.parse(inspect.getsource(typ)).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what a class's source is
    names = [base.id for base in definition.bases if isinstance(base, ast.Name)]
    found = [getattr(sys.modules[typ.__module__], name) for name in names]
    return [base for base in found if is_typeddict(base)]
