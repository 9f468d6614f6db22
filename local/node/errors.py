"""What the API answers when it refuses: the `Status` object of the Kubernetes API."""

from local.node.objects import Object


class ApiError(Exception):
    """A refusal with the code, reason and message that a real API server would give."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Object:
        """The answer's body."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def not_found(resource: str, name: str) -> ApiError:
    """404: there is no such object."""
    return ApiError(404, "NotFound", f'{resource} "{name}" not found', {"name": name, "kind": resource})


def already_exists(resource: str, name: str) -> ApiError:
    """409: an object of that name is there."""
    return ApiError(409, "AlreadyExists", f'{resource} "{name}" already exists', {"name": name, "kind": resource})


def conflict(resource: str, name: str, why: str) -> ApiError:
    """409: somebody else changed the object, or owns the field."""
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource} "{name}": {why}',
        {"name": name, "kind": resource},
    )


def invalid(kind: str, name: str, causes: list[tuple[str, str]]) -> ApiError:
    """422: the object breaks a rule; `causes` are (field, what is wrong)."""
    listed = ", ".join(f"{field}: {message}" for field, message in causes)
    message = f'{kind} "{name}" is invalid: {listed if len(causes) == 1 else f"[{listed}]"}'
    details: Object = {
        "name": name,
        "kind": kind,
        "causes": [{"reason": "FieldValueInvalid", "field": field, "message": text} for field, text in causes],
    }
    return ApiError(422, "Invalid", message, details)


def forbidden(resource: str, name: str, why: str) -> ApiError:
    """403: the object's surroundings do not allow it."""
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}', {"name": name, "kind": resource})


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def gone(message: str) -> ApiError:
    """410: a watch asked for changes that are no longer kept."""
    return ApiError(410, "Expired", message)
