"""AWS as the stream workers use it: botocore's clients, called on threads, their errors as SourceError.

Threads rather than aiobotocore: that pins a botocore of its own, months behind the one that the image ships, and there
are a handful of calls a second to wait for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from serving.exits import CommandError, Exit
from serving.stream.source import SourceError

_CALLS = 16
"""Calls at once."""
_DENIED = {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException"}
_ABSENT = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "NoSuchBucket",
}


class Aws:
    """Clients of one process, made when they are first needed, and the threads that wait for them."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()
        self._clients: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(_CALLS, thread_name_prefix="aws")

    def client(self, service: str) -> Any:
        """A client; botocore's clients may be shared by threads."""
        if service not in self._clients:
            retries: Any = {"mode": "standard", "total_max_attempts": 3}
            config = Config(connect_timeout=5, read_timeout=30, retries=retries, max_pool_connections=_CALLS)
            self._clients[service] = self._session.create_client(service, config=config)
        return self._clients[service]

    async def call(self, service: str, method: str, **arguments: Any) -> Any:
        """Call a method of a client. SourceError when it does not answer; ClientError's code is in `code`."""

        def work() -> Any:
            try:
                return getattr(self.client(service), method)(**arguments)
            except ClientError as error:
                raise AwsError(f"{service}: {error}", error.response.get("Error", {}).get("Code", "")) from None
            except BotoCoreError as error:
                raise AwsError(f"{service}: {error}") from None

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Let the threads go; what they still wait for is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class AwsError(SourceError):
    """What AWS answered, or why it did not; `code` is AWS's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


async def must(call: Awaitable[Any], variable: str, value: str, needs: str) -> Any:
    """The answer to a first call, whose failure means that a variable is wrong or a right is missing.

    Raises:
        CommandError: naming the variable; `needs` are the rights.
    """
    try:
        return await call
    except AwsError as error:
        if error.code in _ABSENT:
            raise CommandError(Exit.NOT_FOUND, f"{variable}: {value}: there is none ({error})") from None
        if error.code in _DENIED:
            raise CommandError(Exit.DENIED, f"{variable}: {value}: the pod's role needs {needs} ({error})") from None
        raise CommandError(Exit.UNAVAILABLE, f"{variable}: {value}: {error}") from None


async def each(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Make calls at once, and raise the first error when all have ended."""
    ended = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    for answer in ended:
        if isinstance(answer, BaseException):
            raise answer
    return ended
