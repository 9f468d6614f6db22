"""Apache Kafka's own server for tests: one broker in KRaft mode on the machine's Java, from the jars that Maven brings.

Maven finds its repository in its own settings; nothing here names one. Where there is no Java or no Maven, or the jars
cannot be had, `broker` skips the test and says so.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

VERSION = "4.0.0"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>slipway</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency></dependencies>
</project>
"""
_SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
num.partitions=2
auto.create.topics.enable=true
"""


@contextmanager
def broker(directory: Path) -> Generator[str]:
    """A running broker: its address, `127.0.0.1:port`. Topics are made with two partitions when first written to."""
    jars = _jars()
    settings = directory / "server.properties"
    port, controller = _free_port(), _free_port()
    settings.write_text(_SETTINGS.format(port=port, controller=controller, directory=directory))
    # The first tier of the compiler is enough for a minute's work and takes half the time to start.
    java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]
    identity = ["-t", "c2xpcHdheS10ZXN0cy0xMg", "-c", str(settings)]
    with (directory / "broker.log").open("wb") as log:
        format_ = [*java, "kafka.tools.StorageTool", "format", *identity]
        subprocess.run(format_, stdout=log, stderr=log, check=True, timeout=120)
        process = subprocess.Popen([*java, "kafka.Kafka", str(settings)], stdout=log, stderr=log)
        try:
            end = time.monotonic() + 120
            while not _open(port):
                alive = process.poll() is None and time.monotonic() < end
                assert alive, (directory / "broker.log").read_text()[-3000:]
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _jars() -> Path:
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"the Kafka broker is left out: there is no {program} on this machine")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "slipway" / "kafka" / VERSION
    if not (directory / "complete").exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "pom.xml").write_text(_POM)
        fetch = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={directory}"]
        try:
            subprocess.run(fetch, cwd=directory, check=True, capture_output=True, timeout=240)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("the Kafka broker is left out: Maven cannot get its jars here")
        (directory / "complete").touch()
    return directory


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
