"""A service that calls one which fails at times: policies from a file that it follows, `/metrics` for Prometheus, spans by OTLP.

    pip install 'reknock[otel]' fastapi uvicorn opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-prometheus
    UPSTREAM=http://127.0.0.1:8080 POLICIES=policies.yaml uvicorn service:app

Spans go to OTEL_EXPORTER_OTLP_ENDPOINT, by default http://localhost:4318: FastAPI's own of what is served, and below them one per attempt. Edit the file of policies while it runs: the next second's calls have it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import reknock
import reknock.telemetry
from fastapi import FastAPI, Request, Response
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

ABOUT = Resource.create({"service.name": "shop"})
TRACES = TracerProvider(resource=ABOUT)
TRACES.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(TRACES)
metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()], ABOUT))
reknock.telemetry.instrument()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """One client for as long as the service runs; then what was not exported yet."""
    policies = reknock.PolicySet.load(os.environ["POLICIES"], watch=True)
    async with reknock.AsyncClient(base_url=os.environ["UPSTREAM"], policy=policies) as client:
        app.state.client = client
        yield
    TRACES.shutdown()


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{number}")
async def order(number: int, request: Request) -> Response:
    """An order, from upstream."""
    return await passed_on(request, f"/orders/{number}", "/orders/{number}")


@app.get("/stock")
async def stock(request: Request) -> Response:
    """What there is, from upstream."""
    return await passed_on(request, "/stock", "/stock")


@app.get("/metrics")
def scraped() -> Response:
    """What Prometheus reads."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def passed_on(request: Request, path: str, name: str) -> Response:
    """What upstream answers in the end; `name` is the route in spans, metrics and logs."""
    client: reknock.AsyncClient = request.app.state.client
    try:
        upstream = await client.get(path, name=name)
    except reknock.RequestError as error:
        return Response(f"{error.kind}: {error.stop_reason}", 502)
    return Response(upstream.content, upstream.status_code, media_type=upstream.headers.get("content-type"))
