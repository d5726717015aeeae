//! Traces go to a collector by OTLP, and a collector that is away holds nothing up.

use crate::{create, places, rolled_out, within};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::receiver::Receiver;

/// The value of an attribute as a text.
fn said(attributes: &[KeyValue], key: &str) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone()?.value);
    match found {
        Some(Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// All spans that a collector took, each with the name of its service.
fn spans(collector: &Receiver) -> Vec<(String, Span)> {
    let mut all = Vec::new();
    for delivery in collector.deliveries() {
        assert_eq!(delivery.path, "/v1/traces");
        assert_eq!(delivery.headers["content-type"], "application/x-protobuf");
        assert_eq!(delivery.headers["x-tenant"], "team");
        for of_resource in ExportTraceServiceRequest::decode(delivery.bytes.as_slice()).unwrap().resource_spans {
            let service = said(&of_resource.resource.unwrap().attributes, "service.name");
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            all.extend(spans.map(|span| (service.clone(), span)));
        }
    }
    all
}

#[test]
fn admissions_and_scans_are_traced() {
    let mut lab = Lab::new(places());
    let collector = Receiver::start(0, None);
    lab.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base());
    lab.set_variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=team");
    lab.set_variable("OTEL_BSP_SCHEDULE_DELAY", "200");
    lab.start_server();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let attribute = |span: &Span, key: &str| said(&span.attributes, key);
    let scan = || spans(&collector).into_iter().find(|(_, span)| span.name == "scan").map(|(_, span)| span);
    within(PATIENCE, "the scan is traced", || scan().is_some());
    let scan = scan().unwrap();
    assert_eq!(attribute(&scan, "container.image.name"), bad);
    assert_eq!(attribute(&scan, "tidewaiter.image_status"), "VulnerabilitiesFound");
    assert_eq!(attribute(&scan, "oci.manifest.digest"), vulnerable().build().digest());
    assert_eq!(scan.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["runs"]);
    assert!(scan.end_time_unix_nano > scan.start_time_unix_nano);
    let held = || {
        spans(&collector).into_iter().any(|(service, span)| {
            let says = |key: &str, value: &str| attribute(&span, key) == value;
            service == "tidewaiter"
                && span.name == "POST /deployments"
                && says("k8s.namespace.name", "default")
                && says("tidewaiter.answer", "changed")
        })
    };
    within(PATIENCE, "the admission is traced", held);
    // What only the API server knows is in no span.
    assert!(spans(&collector).iter().all(|(_, span)| span.name.split('/').count() < 3 || span.name.ends_with('}')));

    // Without it all goes on.
    drop(collector);
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "fine", &good);
    lab.until("fine", "Approved Deployed");
    rolled_out(&lab, "fine");
    within(PATIENCE, "its absence is told", || {
        std::fs::read_to_string(lab.log()).unwrap().contains("traces are lost: ")
    });
    let log = std::fs::read_to_string(lab.log()).unwrap();
    assert_eq!(log.matches("traces are lost: ").count(), 1, "{log}");
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused_at_the_start() {
    let mut lab = Lab::new(places());
    lab.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    lab.set_variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    lab.spawn_server();
    within(PATIENCE, "the server says why it ends", || {
        std::fs::read_to_string(lab.log())
            .unwrap_or_default()
            .contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc: traces are sent")
    });
}
