//! Traces of OpenTelemetry, where the environment names a collector: a span for each admission request, whose parent is the API
//! server's where that traces, and one for each scan. They are sent by OTLP over HTTP, in the background; what a collector does
//! not take in time is lost, and decides nothing.
//!
//! The variables are those of the OpenTelemetry specification (`docs/monitoring.md`, Traces).

mod collector;

use anyhow::{Context as _, Result, bail};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use collector::Collector;
use opentelemetry::trace::{FutureExt as _, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tidewaiter_crd::image_scan::ImageScanStatus;

/// The name of this service, and of what makes its spans.
const NAME: &str = "tidewaiter";
/// How long the last spans may take at the end.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What sends spans; none are made without it.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Makes and sends spans from now on, where the environment asks for it.
    ///
    /// # Errors
    /// When it asks for what there is not.
    pub(crate) fn start() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if !are_wanted(variable)? {
            return Ok(Traces(None));
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(Collector::new()?).build();
        let exporter = exporter.context("the collector of traces (OTEL_EXPORTER_OTLP_…)")?;
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if variable("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(NAME);
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(provider.clone());
        Ok(Traces(Some(provider)))
    }

    /// Sends the last spans.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_SPANS)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// Whether the environment asks for traces.
fn are_wanted(variable: impl Fn(&str) -> Option<String>) -> Result<bool> {
    let is = |name: &str, value: &str| variable(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    let endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    if endpoints.iter().all(|name| variable(name).is_none())
        || is("OTEL_SDK_DISABLED", "true")
        || is("OTEL_TRACES_EXPORTER", "none")
    {
        return Ok(false);
    }
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let protocol = protocols.iter().find_map(|name| variable(name).map(|value| (*name, value)));
    match protocol {
        Some((name, value)) if value != "http/protobuf" => bail!(
            "{name}={value}: traces are sent by http/protobuf alone; name the port of the collector that takes it (4318), and set http/protobuf"
        ),
        _ => Ok(true),
    }
}

/// Handles a request within a span. Its name has the route's path, not the request's: some end with what only the API server knows.
pub(crate) async fn of_request(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(request.headers())));
    let tracer = global::tracer(NAME);
    let span = tracer.span_builder(format!("{} {route}", request.method())).with_kind(SpanKind::Server);
    let method = KeyValue::new("http.request.method", request.method().to_string());
    let span = span.with_attributes([method, KeyValue::new("http.route", route)]);
    let context = parent.with_span(span.start_with_context(&tracer, &parent));
    let response = next.run(request).with_context(context.clone()).await;
    let status = response.status();
    let span = context.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
    response
}

/// Says in the span of the current request what was decided.
pub(crate) fn decided(namespace: &str, answer: &'static str) {
    let context = Context::current();
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new("k8s.namespace.name", namespace.to_owned()));
        span.set_attribute(KeyValue::new("tidewaiter.answer", answer));
    }
}

/// The span of a scan, from when it waits for its turn. One that is dropped was cancelled.
pub(crate) struct ScanTrace {
    span: global::BoxedSpan,
    is_ended: bool,
}

impl ScanTrace {
    /// Begins it.
    pub(crate) fn begin(namespace: &str, image: &str) -> Self {
        let attributes = [
            KeyValue::new("k8s.namespace.name", namespace.to_owned()),
            KeyValue::new("container.image.name", image.to_owned()),
        ];
        let tracer = global::tracer(NAME);
        let span = tracer.span_builder("scan").with_kind(SpanKind::Internal).with_attributes(attributes);
        ScanTrace { span: span.start_with_context(&tracer, &Context::new()), is_ended: false }
    }

    /// It does not wait any more.
    pub(crate) fn runs(&mut self) {
        self.span.add_event("runs", Vec::new());
    }

    /// It ends with this result.
    pub(crate) fn ended(mut self, status: &ImageScanStatus) {
        self.is_ended = true;
        self.span.set_attribute(KeyValue::new("tidewaiter.image_status", status.image_status.to_string()));
        if let Some(digest) = &status.digest {
            self.span.set_attribute(KeyValue::new("oci.manifest.digest", digest.clone()));
        }
        if let Some(reason) = &status.reason {
            self.span.set_attribute(KeyValue::new("error.type", reason.as_str().to_owned()));
            self.span.set_status(Status::error(reason.as_str().to_owned()));
        }
    }
}

impl Drop for ScanTrace {
    fn drop(&mut self) {
        if !self.is_ended {
            self.span.set_attribute(KeyValue::new("tidewaiter.cancelled", true));
        }
        self.span.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_sdk::trace::InMemorySpanExporter;
    use tower::Service as _;

    /// The one test that makes spans: who makes them is the process's.
    #[tokio::test]
    async fn a_request_is_a_span_below_the_callers() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(provider);
        let handler = || async { decided("team", "held") };
        let mut app = Router::new().route("/pods/{token}", post(handler)).layer(axum::middleware::from_fn(of_request));
        let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Request::post("/pods/secret").header("traceparent", caller).body(Body::empty()).unwrap();
        assert_eq!(app.call(request).await.unwrap().status(), 200);
        let spans = exporter.get_finished_spans().unwrap();
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(span.span_context.trace_id(), TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap());
        assert_eq!(span.parent_span_id, SpanId::from_hex("b7ad6b7169203331").unwrap());
        assert_eq!((span.name.as_ref(), &span.span_kind), ("POST /pods/{token}", &SpanKind::Server));
        let said =
            |key: &str| span.attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.to_string());
        assert_eq!(said("k8s.namespace.name").as_deref(), Some("team"));
        assert_eq!(said("tidewaiter.answer").as_deref(), Some("held"));
        assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    }

    #[test]
    fn the_environment_asks_for_traces() {
        let check = |variables: &[(&str, &str)], expected: Result<bool, &str>| {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let found = are_wanted(variable).map_err(|error| error.to_string());
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{variables:?}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                _ => panic!("{variables:?}: {found:?}"),
            }
        };
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces");
        check(&[], Ok(false));
        check(&[general], Ok(true));
        check(&[of_traces], Ok(true));
        check(&[general, ("OTEL_SDK_DISABLED", "TRUE")], Ok(false));
        check(&[general, ("OTEL_TRACES_EXPORTER", "none")], Ok(false));
        check(&[general, ("OTEL_TRACES_EXPORTER", "otlp")], Ok(true));
        check(&[general, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Ok(true));
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        check(&[general, grpc], Err("OTEL_EXPORTER_OTLP_PROTOCOL=grpc: traces are sent by http/protobuf alone"));
        check(&[general, grpc, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")], Ok(true));
        check(&[grpc], Ok(false));
    }
}
