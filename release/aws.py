"""AWS clients for an environment: the emulation for `local`, the caller's own credentials elsewhere."""

from typing import TYPE_CHECKING, Any

from release.environment import Environment, read_daemon, read_deployed
from release.errors import SlipwayError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient


def s3(environment: Environment) -> "S3Client":
    """An S3 client."""
    return _session(environment).client("s3", **_endpoint(environment))


def sagemaker(environment: Environment) -> "SageMakerClient":
    """A SageMaker client."""
    return _session(environment).client("sagemaker", **_endpoint(environment))


def dynamodb(environment: Environment) -> "DynamoDBClient":
    """A DynamoDB client."""
    return _session(environment).client("dynamodb", **_endpoint(environment))


def sts(environment: Environment) -> "STSClient":
    """An STS client."""
    return _session(environment).client("sts", **_endpoint(environment))


def sqs(environment: Environment) -> "SQSClient":
    """An SQS client."""
    return _session(environment).client("sqs", **_endpoint(environment))


def check_account(environment: Environment) -> None:
    """Refuse to change an environment with the credentials of another account than the one it lives in."""
    home = read_deployed(environment).account
    if environment.is_local or home is None:
        return
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        account = sts(environment).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise explained(error, environment, "asking AWS who is calling") from error
    if account != home:
        raise SlipwayError(
            "wrong-account",
            f"the credentials are of account {account}, {environment.name} lives in {home}",
            "choose the right ones (AWS_PROFILE)",
        )


def explained(error: Exception, environment: Environment, doing: str) -> SlipwayError:
    """What AWS (or the way to it) answered, as one line."""
    from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, TokenRetrievalError

    if isinstance(error, NoCredentialsError | TokenRetrievalError):
        return SlipwayError(
            "no-credentials", f"{doing}: there are no AWS credentials", "log in (`aws sso login`), or set AWS_PROFILE"
        )
    if isinstance(error, EndpointConnectionError) and environment.is_local:
        return SlipwayError("local-down", f"{doing}: the local platform does not answer", "run: slipway up")
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return SlipwayError("aws-refused", f"{doing}: AWS answered {said.get('Code')}: {said.get('Message')}")
    return SlipwayError("aws-failed", f"{doing}: {error}")


def _session(environment: Environment) -> Any:
    import boto3

    if not environment.is_local:
        return boto3.Session(region_name=read_deployed(environment).outputs.get("region"))
    daemon = read_daemon(environment)
    if daemon is None:
        raise SlipwayError("local-down", "the local platform is not running", "run: slipway up")
    # The emulation takes any credentials; the caller's real ones have no business there.
    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=daemon.region)  # noqa: S106


def _endpoint(environment: Environment) -> dict[str, str]:
    daemon = read_daemon(environment) if environment.is_local else None
    return {"endpoint_url": daemon.aws_endpoint} if daemon else {}
