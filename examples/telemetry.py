# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging", "opentelemetry-sdk>=1.30", "prometheus-client>=0.22"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Watch a bot: a span for each download, counters, gauges for OpenTelemetry or Prometheus, and logs as JSON.

`uv run examples/telemetry.py` stages three files from this machine, one of them missing, and prints what is told of it.
Copy the three parts that you need. Reasons are a closed list and fit for labels; names and URLs are many, and somebody
else's.

structlog's `ExtraAdder` and the formatters of python-json-logger need none of it: they find the facts of a record under
`staging`.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import anyio

from staging import Event, Finished, Removed, StagedFile, StagingArea, Started
from staging.testing import FakeCDN

try:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
except ImportError:
    sys.exit("telemetry: an SDK is missing: pip install opentelemetry-sdk prometheus-client")

GAUGES = ("stages_open", "downloads_running", "downloads_waiting", "bytes_held", "leftovers")


def telemetry() -> Callable[[Event], None]:
    """Return an `on_event` for one stage: a span for each download, and outcomes by result.

    The spans stand below the one that is current where `download` is called.
    """
    tracer = trace.get_tracer("my.bot")
    outcomes = metrics.get_meter("my.bot").create_counter("attachments")
    spans: dict[int, trace.Span] = {}

    def on_event(event: Event) -> None:
        match event:
            case Started(attachment=attachment):
                spans[id(attachment)] = tracer.start_span("download")
            case Finished(outcome=outcome):
                outcomes.add(1, {"result": "staged" if isinstance(outcome, StagedFile) else outcome.reason})
                if span := spans.pop(id(outcome.attachment), None):  # none for what was never asked for
                    if isinstance(outcome, StagedFile):
                        span.set_attribute("file.size", outcome.size)
                    else:
                        span.set_attribute("error.type", outcome.reason)
                        span.set_status(trace.StatusCode.ERROR, getattr(outcome, "detail", ""))
                    span.end()
            case Removed():
                for span in spans.values():  # cut short
                    span.end()

    return on_event


def observe(area: StagingArea, registry: CollectorRegistry = REGISTRY) -> None:
    """Show an area's numbers as gauges, of OpenTelemetry and of Prometheus.

    Waiting downloads that grow mean that `concurrency` is too low. Leftovers mean that a disk needs a look.
    """
    meter = metrics.get_meter("my.bot")

    def gauge(name: str) -> None:
        def read() -> int:
            return int(getattr(area.stats(), name))

        meter.create_observable_gauge(f"staging.{name}", [lambda _: [metrics.Observation(read())]])
        Gauge(f"staging_{name}", name, registry=registry).set_function(read)

    for name in GAUGES:
        gauge(name)


class Json(logging.Formatter):
    """Write a record as a line of JSON, with its facts: label, name, URL without query, reason, size."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts: dict[str, Any] = getattr(record, "staging", {})
        return json.dumps({"level": record.levelname, "message": record.getMessage(), **facts}, default=str)


async def main() -> None:
    """Stage three files, and print the logs, the spans and the gauges."""
    console = ConsoleSpanExporter(formatter=lambda span: f"span {span.name}: {dict(span.attributes or {})}\n")
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(console))
    trace.set_tracer_provider(tracers)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    with tempfile.TemporaryDirectory() as root:
        async with FakeCDN() as cdn, StagingArea(root, policy=cdn.policy) as area:
            observe(area)
            with trace.get_tracer("my.bot").start_as_current_span("answer"):
                async with area.stage(label="thread 42", on_event=telemetry()) as stage:
                    urls = [cdn.serve("/a.txt", b"text"), cdn.serve("/b.csv", b"1,2\n"), cdn.url("/gone.png")]
                    await stage.download(urls)
                    shown = generate_latest().decode()
    print(*(line for line in shown.splitlines() if line.startswith("staging_")), sep="\n")
    tracers.shutdown()


if __name__ == "__main__":
    anyio.run(main)
