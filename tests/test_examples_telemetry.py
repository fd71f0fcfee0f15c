"""`examples/telemetry.py` tells what happens: spans, counts, gauges and logs, with the real SDKs."""

import asyncio
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from pythonjsonlogger.json import JsonFormatter

from staging import AttachmentStage, StagingArea
from staging.testing import FakeCDN, Hold

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "telemetry.py"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


def example():
    """Return the names of the example."""
    return runpy.run_path(str(EXAMPLE))


def test_it_prints_what_happens():
    """As a process, since an SDK has one provider in each."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=80, check=True, env=environment
    )
    lines = done.stdout.splitlines()
    logs = [json.loads(line) for line in lines if line.startswith("{")]
    assert [log["message"][:10] for log in logs] == ["Not staged", "Downloaded", "Cleaned up"]
    assert sorted(line for line in lines if line.startswith("span ")) == [
        "span answer: {}",
        "span download: {'error.type': 'not_found'}",
        "span download: {'file.size': 4}",
        "span download: {'file.size': 4}",
    ]
    assert "staging_stages_open 1.0" in lines
    assert done.stderr == ""


def counts(reader):
    """Return what the one counter says, by result."""
    (resource,) = reader.get_metrics_data().resource_metrics
    (counter,) = resource.scope_metrics[0].metrics
    return {point.attributes["result"]: point.value for point in counter.data.data_points}


async def test_spans_and_counts(tmp_path, monkeypatch):
    """With the real SDK: a span for each download under the caller's, an error with its reason, each outcome once."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    telemetry = example()["telemetry"]
    hold = Hold(at=100)
    async with FakeCDN() as cdn:
        link, refused = {"url": "https://example.com/", "type": "url"}, "https://example.com/a.png"
        urls = cdn.serve("/photo.png", PNG), cdn.url("/gone.txt")
        with tracers.get_tracer("test").start_as_current_span("answer"):
            async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=telemetry()) as stage:
                await stage.download(urls, link, refused)
        assert counts(reader) == {"staged": 1, "not_found": 1, "link": 1, "not_allowed": 1}
        spans = exporter.get_finished_spans()
        (answer,) = [span for span in spans if span.name == "answer"]
        (photo,) = [span for span in spans if "file.size" in span.attributes]
        (gone,) = [span for span in spans if "error.type" in span.attributes]
        assert len(spans) == 3
        assert {gone.parent.span_id, photo.parent.span_id} == {answer.context.span_id}
        assert dict(photo.attributes) == {"file.size": len(PNG)}
        assert photo.status.status_code is not trace.StatusCode.ERROR
        assert dict(gone.attributes) == {"error.type": "not_found"}
        assert gone.status.description == "not found (HTTP 404)"
        assert "photo" not in photo.to_json()

        exporter.clear()
        slow = cdn.serve("/slow.png", PNG, hold)
        async with anyio.create_task_group() as group:

            async def cut_short():
                async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=telemetry()) as stage:
                    await stage.download(slow)

            group.start_soon(cut_short)
            await hold.reached()
            assert exporter.get_finished_spans() == ()
            group.cancel_scope.cancel()
        assert [span.name for span in exporter.get_finished_spans()] == ["download"]


async def test_what_an_area_is_doing(tmp_path, monkeypatch):
    """With the real SDKs: what is read is what is so at that moment."""
    registry, reader = CollectorRegistry(), InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)

    def told():
        (resource,) = reader.get_metrics_data().resource_metrics
        by_meter = {metric.name: metric.data.data_points[0].value for metric in resource.scope_metrics[0].metrics}
        for name, value in by_meter.items():
            assert registry.get_sample_value(name.replace(".", "_")) == value
        return by_meter

    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy) as area:
        example()["observe"](area, registry)
        assert set(told().values()) == {0}
        async with area.stage() as stage:
            await stage.download(cdn.serve("/a.png", PNG))
            assert told() | {"staging.bytes_held": 0} == dict.fromkeys(told(), 0) | {"staging.stages_open": 1}
            assert told()["staging.bytes_held"] >= len(PNG)
        assert set(told().values()) == {0}
    meters.shutdown()


@pytest.fixture
def failing(tmp_path, caplog):
    """Log a failure; return its record."""

    async def main():
        async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy, label="thread 42") as stage:
            await stage.download(cdn.url("/gone.png?hm=secret"))

    asyncio.run(main())
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    return record


def told_by(formatter, record):
    told = json.loads(formatter.format(record))
    assert "secret" not in json.dumps(told)
    return told


def test_logs_as_json(failing):
    """The standard library alone, structlog and python-json-logger show the same facts."""
    own = example()["Json"]()
    told = told_by(own, failing)
    assert (told["level"], told["reason"], told["label"]) == ("WARNING", "not_found", "thread 42")
    assert told["message"].startswith("Not staged: 'gone.png'")

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    assert told_by(formatter, failing)["staging"]["reason"] == "not_found"
    assert told_by(JsonFormatter(), failing)["staging"]["reason"] == "not_found"
