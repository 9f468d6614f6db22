"""`python -m local.aws`: the plugin process that the engine starts as `pulumi-resource-aws`."""

import sys

from local.aws.provider import AwsProvider
from local.provider.serve import serve

if __name__ == "__main__":
    sys.exit(serve(AwsProvider()))
