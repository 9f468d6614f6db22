"""`pulumi-resource-kubernetes`: the engine starts this and reads the port that it prints."""

import sys

from local.kubernetes.provider import KubernetesProvider
from local.provider.serve import serve

if __name__ == "__main__":
    sys.exit(serve(KubernetesProvider()))
