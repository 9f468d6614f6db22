"""Config → components: a service's way in from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.load_balancer import IngressArgs, OidcArgs
from stacks.config.services import Ingress, Oidc

if TYPE_CHECKING:
    from stacks.cloud import Cloud


def ingress_args(ingress: Ingress, cloud: Cloud, account: aws.Provider) -> IngressArgs:
    """What the load balancer is told."""
    args: IngressArgs = {
        "host": ingress.host,
        "certificate_arn": ingress.certificate_arn,
        "allowed_cidrs": list(ingress.allowed_cidrs),
        "subnet_cidrs": [cloud.network.vpc_cidr],
        "public": ingress.public,
    }
    if ingress.auth and ingress.auth.oidc:
        args["oidc"] = oidc_args(ingress.auth.oidc, account)
    return args


def oidc_args(oidc: Oidc, account: aws.Provider) -> OidcArgs:
    """The identity provider; the client's secret comes from Secrets Manager and stays a secret in the state."""
    stored = aws.secretsmanager.get_secret_version_output(
        secret_id=oidc.client_secret_arn, opts=pulumi.InvokeOptions(provider=account)
    )
    client = pulumi.Output.secret(stored.secret_string).apply(oidc_client)
    return {
        "issuer": oidc.issuer,
        "authorization_endpoint": oidc.authorization_endpoint,
        "token_endpoint": oidc.token_endpoint,
        "user_info_endpoint": oidc.user_info_endpoint,
        "client_id": client.apply(lambda found: found["clientID"]),
        "client_secret": client.apply(lambda found: found["clientSecret"]),
    }


def oidc_client(secret: str) -> dict[str, str]:
    """`clientID` and `clientSecret` of a secret's text; the error for others does not repeat it."""
    try:
        content: dict[str, str] = json.loads(secret)
        return {key: content[key] for key in ("clientID", "clientSecret")}
    except (ValueError, KeyError, TypeError):
        raise ValueError("auth.oidc.client_secret_arn: expected JSON with clientID and clientSecret") from None
