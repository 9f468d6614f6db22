"""What an Application Load Balancer is told about a service, as annotations of its Ingress and Services.

Read by the AWS Load Balancer Controller and by EKS Auto Mode's own
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/).
"""

import json
from ipaddress import ip_network
from typing import NotRequired, TypedDict

import pulumi

from components.drain import Drain
from components.naming import Limit, named

_ALB = "alb.ingress.kubernetes.io"
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only."""
OIDC_SECRET = "oidc-client"  # noqa: S105 - the name of a Secret
GRPC_PREFIX = "/inference.GRPCInferenceService"


class OidcArgs(TypedDict):
    """An OpenID Connect provider that the load balancer signs callers in with."""

    issuer: pulumi.Input[str]
    """Issuer URL, exactly as in the provider's discovery document."""
    authorization_endpoint: pulumi.Input[str]
    """URL of the authorization endpoint."""
    token_endpoint: pulumi.Input[str]
    """URL of the token endpoint."""
    user_info_endpoint: pulumi.Input[str]
    """URL of the user info endpoint."""
    client_secret_arn: pulumi.Input[str]
    """Secrets Manager secret with the load balancer's `clientID` and `clientSecret` at the provider, as JSON. The
    cluster's External Secrets operator reads it, which must be allowed to (`sign_in_secret_arns` of Cluster)."""


class IngressArgs(TypedDict):
    """How a service is reached from outside the cluster."""

    certificate_arn: pulumi.Input[str]
    """ACM certificate of the HTTPS listener; there is no plain HTTP one."""
    allowed_cidrs: list[str]
    """Who may connect, at least one CIDR; the whole internet has to be written out as `0.0.0.0/0`."""
    subnet_cidrs: list[pulumi.Input[str]]
    """CIDRs that the load balancer's own addresses are in (the VPC's): pods accept its traffic from there."""
    host: NotRequired[str]
    """Host name to answer for. Without one, any."""
    public: NotRequired[bool]
    """Reachable from the internet; then API keys or `oidc` must be there. Default False: internal."""
    ingress_class: NotRequired[str]
    """IngressClass of the controller. Default `alb`."""
    oidc: NotRequired[OidcArgs]
    """Sign callers in at the load balancer."""
    web_acl_arn: NotRequired[pulumi.Input[str]]
    """WAFv2 web ACL in front of the service."""


def require_ingress(service: str, ingress: IngressArgs, *, has_api_keys: bool) -> IngressArgs:
    """`ingress`, when it is safe; else a ValueError that says what is missing."""
    if ingress.get("public", False) and not has_api_keys and "oidc" not in ingress:
        raise ValueError(
            f"service {service}: a public ingress needs authentication: set api_keys_secret_arn or ingress.oidc"
        )
    if not ingress["allowed_cidrs"]:
        raise ValueError(f"service {service}: ingress.allowed_cidrs: expected at least one CIDR, got none")
    for cidr in ingress["allowed_cidrs"]:
        try:
            ip_network(cidr)
        except ValueError as error:
            raise ValueError(f"service {service}: ingress.allowed_cidrs: {cidr!r}: {error}") from None
    return ingress


def ingress_annotations(
    environment: str, service: str, ingress: IngressArgs, drain: Drain
) -> dict[str, pulumi.Input[str]]:
    """Annotations of the Ingress."""
    annotations: dict[str, pulumi.Input[str]] = {
        f"{_ALB}/load-balancer-name": named(environment, service, limit=Limit.ALB),
        f"{_ALB}/scheme": "internet-facing" if ingress.get("public", False) else "internal",
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/listen-ports": json.dumps([{"HTTPS": 443}]),
        f"{_ALB}/certificate-arn": ingress["certificate_arn"],
        f"{_ALB}/ssl-policy": TLS_POLICY,
        f"{_ALB}/inbound-cidrs": ",".join(ingress["allowed_cidrs"]),
        f"{_ALB}/healthcheck-path": "/v2/health/ready",
        f"{_ALB}/healthcheck-interval-seconds": "5",
        f"{_ALB}/healthcheck-timeout-seconds": "2",
        f"{_ALB}/healthy-threshold-count": "2",
        f"{_ALB}/unhealthy-threshold-count": "2",
        f"{_ALB}/target-group-attributes": _target_group(drain),
        f"{_ALB}/load-balancer-attributes": _attributes({"routing.http.drop_invalid_header_fields.enabled": "true"}),
    }
    if "web_acl_arn" in ingress:
        annotations[f"{_ALB}/wafv2-acl-arn"] = ingress["web_acl_arn"]
    if "oidc" in ingress:
        oidc = ingress["oidc"]
        annotations[f"{_ALB}/auth-type"] = "oidc"
        annotations[f"{_ALB}/auth-idp-oidc"] = pulumi.Output.json_dumps(
            {
                "issuer": oidc["issuer"],
                "authorizationEndpoint": oidc["authorization_endpoint"],
                "tokenEndpoint": oidc["token_endpoint"],
                "userInfoEndpoint": oidc["user_info_endpoint"],
                "secretName": OIDC_SECRET,
            }
        )
    return annotations


def grpc_annotations(drain: Drain) -> dict[str, pulumi.Input[str]]:
    """Annotations of the Service that the gRPC paths lead to; they win over the Ingress's for its target group."""
    return {
        f"{_ALB}/backend-protocol-version": "GRPC",
        f"{_ALB}/healthcheck-path": f"{GRPC_PREFIX}/ServerReady",
        f"{_ALB}/success-codes": "0",
        f"{_ALB}/target-group-attributes": _target_group(drain),
    }


def _target_group(drain: Drain) -> str:
    return _attributes(
        {
            "deregistration_delay.timeout_seconds": str(drain.deregistration_seconds),
            "load_balancing.algorithm.type": "least_outstanding_requests",
        }
    )


def _attributes(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())
