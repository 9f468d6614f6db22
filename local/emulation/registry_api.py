"""The calls of SageMaker's model registry that moto lacks or answers differently from AWS."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker import models as moto_models
from moto.sagemaker.exceptions import ConflictException, ValidationError
from moto.sagemaker.responses import SageMakerResponse

from local.emulation.registry import RegistryStore, tell_event_bus

models: Any = moto_models
"""Without moto's types, which forbid to replace a method."""
Backend: Any = moto_models.SageMakerModelBackend


def install(store: RegistryStore) -> None:
    """Adds and mends the calls, and makes every change of the registry durable and known to the event bus."""
    _number_versions()
    _note_groups(store)
    _note_packages(store)
    _add_deletions(store)
    _add_group_policies(store)


def _number_versions() -> None:
    """moto counts what is there, so the number of a deleted version is given again; SageMaker goes on from the last."""
    original = models.ModelPackage

    class NumberedPackage(original):
        def __init__(self, **fields: Any) -> None:
            group = fields["model_package_group_name"]
            if group is not None:
                backend = models.sagemaker_backends[fields["account_id"]][fields["region_name"]]
                about: dict[str, Any] = backend.model_package_groups[group].__dict__
                fields["model_package_version"] = about["last_version"] = about.get("last_version", 0) + 1
            super().__init__(**fields)

    models.ModelPackage = NumberedPackage


def _note_groups(store: RegistryStore) -> None:
    create = Backend.create_model_package_group

    def create_model_package_group(backend: Any, model_package_group_name: str, *args: Any, **kw: Any) -> str:
        if model_package_group_name in backend.model_package_groups:
            arn = backend.model_package_groups[model_package_group_name].arn
            raise ValidationError(f"Model Package Group already exists: {arn}")
        store.note(backend, "group", model_package_group_name)
        return create(backend, model_package_group_name, *args, **kw)

    Backend.create_model_package_group = create_model_package_group


def _note_packages(store: RegistryStore) -> None:
    create, update = Backend.create_model_package, Backend.update_model_package

    def create_model_package(backend: Any, *args: Any, **kw: Any) -> str:
        arn = create(backend, *args, **kw)
        package = backend.model_packages[arn]
        if package.model_package_group_name is not None:
            store.note(backend, "group", package.model_package_group_name)
        store.note(backend, "package", arn)
        tell_event_bus(backend, package)
        return arn

    def update_model_package(backend: Any, model_package_arn: str, **changes: Any) -> str:
        # moto forgets what an update does not mention; SageMaker keeps it.
        package = backend.describe_model_package(model_package_arn)
        metadata: dict[str, str] = package.customer_metadata_properties or {}
        changes["customer_metadata_properties"] = metadata | (changes.get("customer_metadata_properties") or {})
        for field in ("model_approval_status", "approval_description"):
            changes[field] = changes.get(field) or getattr(package, field)
        arn = update(backend, model_package_arn, **changes)
        store.note(backend, "package", arn)
        tell_event_bus(backend, package)
        return arn

    Backend.create_model_package = create_model_package
    Backend.update_model_package = update_model_package


def _add_deletions(store: RegistryStore) -> None:
    def delete_model_package(response: SageMakerResponse) -> ActionResult:
        backend = response.sagemaker_backend
        package = backend.describe_model_package(_name(response, "ModelPackageName"))
        del backend.model_packages[package.arn]
        store.note(backend, "package", package.arn)
        return EmptyResult()

    def delete_model_package_group(response: SageMakerResponse) -> ActionResult:
        backend = response.sagemaker_backend
        name = _group(response)
        if any(package.model_package_group_name == name for package in backend.model_packages.values()):
            raise ConflictException(f"Model Package Group {name} still has versions; delete them first")
        del backend.model_package_groups[name]
        store.note(backend, "group", name)
        return EmptyResult()

    vars_of_class: Any = SageMakerResponse
    vars_of_class.delete_model_package = delete_model_package
    vars_of_class.delete_model_package_group = delete_model_package_group


def _add_group_policies(store: RegistryStore) -> None:
    """The policy is kept with its group, so it is as durable as that."""

    def put_model_package_group_policy(response: SageMakerResponse) -> ActionResult:
        name = _group(response)
        group = response.sagemaker_backend.model_package_groups[name]
        vars(group)["resource_policy"] = _name(response, "ResourcePolicy")
        store.note(response.sagemaker_backend, "group", name)
        return ActionResult({"ModelPackageGroupArn": group.arn})

    def get_model_package_group_policy(response: SageMakerResponse) -> ActionResult:
        name = _group(response)
        policy = vars(response.sagemaker_backend.model_package_groups[name]).get("resource_policy")
        if policy is None:
            raise ValidationError(f"Cannot find resource policy for: {name}")
        return ActionResult({"ResourcePolicy": policy})

    def delete_model_package_group_policy(response: SageMakerResponse) -> ActionResult:
        name = _group(response)
        vars(response.sagemaker_backend.model_package_groups[name]).pop("resource_policy", None)
        store.note(response.sagemaker_backend, "group", name)
        return EmptyResult()

    vars_of_class: Any = SageMakerResponse
    vars_of_class.put_model_package_group_policy = put_model_package_group_policy
    vars_of_class.get_model_package_group_policy = get_model_package_group_policy
    vars_of_class.delete_model_package_group_policy = delete_model_package_group_policy


def _name(response: SageMakerResponse, parameter: str) -> str:
    return str(response._get_param(parameter))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - moto's own way


def _group(response: SageMakerResponse) -> str:
    name = _name(response, "ModelPackageGroupName")
    if name not in response.sagemaker_backend.model_package_groups:
        raise ValidationError(f"Model Package Group {name} does not exist")
    return name
