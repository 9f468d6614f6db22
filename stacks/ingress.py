"""Config → components: a service's way in from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from components.load_balancer import IngressArgs, OidcArgs
from stacks.config.services import Ingress, Oidc, Service

if TYPE_CHECKING:
    from stacks.cloud import Cloud


def ingress_args(ingress: Ingress, cloud: Cloud) -> IngressArgs:
    """What the load balancer is told."""
    args: IngressArgs = {
        "host": ingress.host,
        "certificate_arn": ingress.certificate_arn,
        "allowed_cidrs": list(ingress.allowed_cidrs),
        "subnet_cidrs": [cloud.network.vpc_cidr],
        "public": ingress.public,
    }
    if ingress.auth and ingress.auth.oidc:
        args["oidc"] = oidc_args(ingress.auth.oidc)
    return args


def oidc_args(oidc: Oidc) -> OidcArgs:
    """The identity provider, and where the client's secret is; nothing here ever reads it."""
    return {
        "issuer": oidc.issuer,
        "authorization_endpoint": oidc.authorization_endpoint,
        "token_endpoint": oidc.token_endpoint,
        "user_info_endpoint": oidc.user_info_endpoint,
        "client_secret_arn": oidc.client_secret_arn,
    }


def sign_in_secrets(services: Iterable[Service]) -> list[str]:
    """Secrets by which the services' load balancers sign callers in, each once."""
    ingresses = [service.rest.ingress for service in services if service.rest and service.rest.ingress]
    return sorted({i.auth.oidc.client_secret_arn for i in ingresses if i.auth and i.auth.oidc})
