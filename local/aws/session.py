"""The connection to the AWS emulation: clients by service and region, made when they are first used."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.provider.errors import ProviderError

if TYPE_CHECKING:
    import botocore.session

ACCOUNT = "123456789012"
"""The emulation's one account."""
PARTITION = "aws"
_REMEDY = 'run `slipway up`, or in this shell: eval "$(slipway env)"'


@dataclass(frozen=True)
class Settings:
    """Where the emulation is and how the program configured the provider."""

    region: str
    default_tags: dict[str, str] = field(default_factory=dict[str, str])


class Session:
    """Clients for the emulation, and only for it: an address that is not loopback is refused."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._botocore: botocore.session.Session | None = None

    def client(self, service: str, region: str | None = None) -> Any:
        """A botocore client; safe to share between threads."""
        key = (service, region or self.settings.region)
        # One at a time: botocore loads its models lazily into the session, which is not safe from several threads.
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(*key)
            return self._clients[key]

    def _make(self, service: str, region: str) -> Any:
        import botocore.config
        import botocore.session

        if self._botocore is None:
            self._botocore = botocore.session.Session()
        return self._botocore.create_client(
            service,  # pyright: ignore[reportArgumentType] - the stubs list the services
            region_name=region,
            endpoint_url=endpoint(),
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - moto wants some
            # What is wrong is wrong on loopback at once. Parameters are checked by the plugin and by moto.
            config=botocore.config.Config(
                retries={"total_max_attempts": 2, "mode": "standard"},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=32,
                s3={"addressing_style": "path"},
            ),
        )


def endpoint() -> str:
    """Address of the emulation; raises ProviderError when it is not known or not on this machine."""
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if not url:
        raise ProviderError(f"AWS_ENDPOINT_URL is not set, so the local AWS emulation is not known: {_REMEDY}")
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ProviderError(
            f"AWS_ENDPOINT_URL is {url}: the local plugin talks to this machine only; "
            "for a real account take the plugin folder off PATH"
        )
    return url


def state_folder() -> Path:
    """Where the plugin keeps what moto cannot, beside the daemon's own file; raises ProviderError."""
    daemon_file = os.environ.get("SLIPWAY_LOCAL", "")
    if not daemon_file:
        raise ProviderError(f"SLIPWAY_LOCAL is not set, so there is no place for local state: {_REMEDY}")
    return Path(daemon_file).parent / "aws"
