"""The AWS emulation as its own process, for tests."""

import subprocess
import time
from pathlib import Path
from typing import Any

import botocore.session

from local.emulation.command import emulation_command, read_port

REGION = "eu-west-1"


class EmulatedAws:
    """Runs it for the checkout `root`."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.root = root
        self._port = port
        root.mkdir(exist_ok=True)
        self._port_file = root / "aws.port"
        self._log = (root / "aws.log").open("ab")
        self._clients: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        self._clients.clear()
        self.process = subprocess.Popen(
            emulation_command(self.root, REGION, self._port_file, self._port), stderr=self._log, stdout=self._log
        )
        deadline = time.monotonic() + 60
        while (port := read_port(self._port_file)) is None:
            assert self.process.poll() is None, (self.root / "aws.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.endpoint = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._port_file.unlink()

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        self._log.close()
        return code

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = botocore.session.get_session().create_client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]
