"""The kubeconfig of an EKS cluster, without credentials in it."""

import json


def kubeconfig(cluster: str, endpoint: str, authority: str, region: str) -> str:
    """A kubeconfig (JSON) whose user is whoever the AWS command line is at that moment.

    Args:
        cluster: the cluster's name.
        endpoint: its API server's address.
        authority: its certificate authority, base64.
        region: its AWS region.
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "current-context": cluster,
            "users": [
                {
                    "name": cluster,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "aws",
                            "args": ["eks", "get-token", "--cluster-name", cluster, "--region", region],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
        }
    )
