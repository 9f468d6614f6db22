"""`python -m serving stream`: one worker, from its settings to its end."""

import asyncio
import gc
import os
import signal
import socket
import time

import numpy as np

from serving.emf import EVERY_SECONDS, Metric, Publisher
from serving.exits import CommandError, Exit
from serving.http_server import HttpServer, Limits
from serving.keyed_rows import open_keyed_rows
from serving.logs import Log
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Plane
from serving.settings import Settings, variable
from serving.startup import open_model
from serving.stream.aws import Aws
from serving.stream.core import Limits as StreamLimits
from serving.stream.core import Sink, Sinks, Stream
from serving.stream.health import Health
from serving.stream.score import Scorer
from serving.stream.sinks import DeadLetters, EventStore
from serving.stream.source import Source

_NEEDED = {
    "sqs": ("stream_queue_url",),
    "kinesis": ("stream_name", "stream_checkpoints"),
    "kafka": ("stream_brokers", "stream_topic", "stream_group"),
}


def check(settings: Settings) -> None:
    """Refuse settings that say too little, naming every variable that is missing."""
    needed = ("stream_source", "capture_uri", "stream_dead_letters_url", *_NEEDED.get(settings.stream_source or "", ()))
    missing = [variable(field) for field in needed if getattr(settings, field) is None]
    if missing:
        raise CommandError(Exit.CONFIG, f"{', '.join(missing)}: must be set for `python -m serving stream`")


def run(settings: Settings, listening: socket.socket, log: Log) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        CommandError: the model cannot be run, or the source is not there.
    """
    began = time.perf_counter()
    check(settings)
    np.seterr(all="ignore")  # a number that does not fit FP32 becomes infinite; nobody reads a warning here
    model = open_model(settings)
    gc.collect()
    gc.freeze()
    asyncio.run(_work(settings, listening, model, log, began))
    # A request for messages may still wait on its thread; nothing that matters does.
    os._exit(0)


async def _work(settings: Settings, listening: socket.socket, model: Model, log: Log, began: float) -> None:
    metrics, aws = Metrics(), Aws()
    info = {"model": model.name, "model_version": model.version, "service": settings.service or model.name}
    metrics.gauge("slipway_workers", "Workers that are up, with the model that they run.", info).set(1)
    plane = Plane([model], metrics, max_queue=settings.max_queue, deadline_seconds=settings.deadline_seconds)
    keyed = open_keyed_rows(model, settings, log, metrics)
    scorer = Scorer(plane, log, max_rows=settings.max_rows, attempts=settings.stream_attempts, keyed=keyed)
    source, outputs = _source(settings, aws, log)
    sinks = Sinks(
        [EventStore(aws, settings.capture_uri or ""), *outputs],
        DeadLetters(aws, settings.stream_dead_letters_url or "", settings.stream_source or "", model.version),
    )
    limits = StreamLimits(settings.stream_window_seconds, settings.stream_window_messages, settings.drain_seconds)
    stream = Stream(source, scorer, sinks, limits, metrics, log)
    health = Health(model, metrics)
    server = HttpServer(health.handle, health.refuse, Limits(max_body_bytes=settings.max_body_bytes))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server.connection, sock=listening)

    def stop() -> None:
        health.ready = False
        log.info("draining", seconds=settings.drain_seconds)
        stream.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    tasks = [loop.create_task(server.keep_time()), loop.create_task(_publish(settings, stream))]
    try:
        await source.open()
        health.ready = True
        address, port = listening.getsockname()[:2]
        seconds = round(time.perf_counter() - began, 3)
        log.info("ready", rest=f"{address}:{port}", source=settings.stream_source, seconds=seconds, **info)
        await stream.run()
        log.info("stopped")
    finally:
        for task in tasks:
            task.cancel()
        listener.close()
        aws.close()


def _source(settings: Settings, aws: Aws, log: Log) -> tuple[Source, list[Sink]]:
    """The source, and the output that goes with it."""
    if settings.stream_source == "kinesis":
        from serving.stream.kinesis import KinesisSource

        return KinesisSource(aws, settings, log), []
    if settings.stream_source == "kafka":
        from serving.stream.kafka import KafkaSource, OutputTopic

        topic = settings.stream_output_topic
        return KafkaSource(settings, log), [OutputTopic(settings, topic)] if topic else []
    from serving.stream.sqs import SqsSource

    return SqsSource(aws, settings), []


async def _publish(settings: Settings, stream: Stream) -> None:
    """The lag for CloudWatch, once a minute."""
    publisher = Publisher(settings.environment, settings.service)
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        publisher.put({Metric.LAG: stream.lag_seconds})
