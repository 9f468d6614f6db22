"""API keys of a service: from a secret of Secrets Manager to the file that the runtime reads."""

import json
from typing import cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.pod import SECRETS_DIR, Identity

_FILE = "keys"
API_KEYS_FILE = f"{SECRETS_DIR}/{_FILE}"
"""Where the runtime finds the keys, one a line; it reads the file again when it changes."""


def api_keys_secret(
    resource: str,
    identity: Identity,
    namespace: pulumi.Input[str],
    secret_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> pulumi.Output[str]:
    """Makes the Kubernetes Secret `<service>-api-keys` and returns its name.

    A rotated secret reaches the pods with the next `up`, without a restart. Who previews or deploys must be allowed
    to read the Secrets Manager secret; in the state its value is encrypted.
    """
    found = aws.secretsmanager.get_secret_version_output(secret_id=secret_arn, opts=pulumi.InvokeOptions(parent=parent))
    made = k8s.core.v1.Secret(
        resource,
        metadata={"name": f"{identity.service}-api-keys", "namespace": namespace, "labels": identity.labels},
        string_data={_FILE: pulumi.Output.secret(found.secret_string).apply(key_lines)},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made.id.apply(lambda _: f"{identity.service}-api-keys")


def key_lines(text: str) -> str:
    """The keys, one a line, of a secret that is a JSON object of name and key, or has one key a line already.

    Raises:
        ValueError: the JSON is something else; the message holds nothing of the secret.
    """
    if not text.lstrip().startswith(("{", "[")):
        return text
    wrong = ValueError("the secret with the API keys: expected a JSON object of name: key, or one key a line")
    try:
        found: object = json.loads(text)
    except json.JSONDecodeError:
        raise wrong from None
    if not isinstance(found, dict):
        raise wrong
    keys = list(cast("dict[str, object]", found).values())
    if not keys or not all(isinstance(key, str) for key in keys):
        raise wrong
    return "\n".join(cast("list[str]", keys))
