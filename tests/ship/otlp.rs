//! Spans over OTLP, taken by a receiver that decodes them with the protocol's own messages.

use crate::support::{breakeven, python, sample_run, top};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

struct Receiver {
    child: Child,
    taken: tempfile::NamedTempFile,
    port: String,
}

impl Receiver {
    fn start(code: &str) -> Self {
        let script = top().join("tests/ship/receiver.py");
        let taken = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(python());
        command.arg(script).arg(code).arg(taken.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, taken, port: port.trim().to_owned() }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Path, headers and message of everything that it was sent.
    fn stop(mut self) -> Vec<(String, Value, Value)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let taken = std::fs::read_to_string(self.taken.path()).unwrap();
        taken.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn spans(requests: &[(String, Value, Value)]) -> Vec<Value> {
    let of = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    requests
        .iter()
        .flat_map(|(_, _, request)| of(request, "resourceSpans"))
        .flat_map(|resource| of(&resource, "scopeSpans"))
        .flat_map(|scope| of(&scope, "spans"))
        .collect()
}

fn nanoseconds(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[test]
fn every_job_is_a_trace_of_phases_and_steps() {
    let dir = tempfile::tempdir().unwrap();
    let run = sample_run(dir.path());
    let receiver = Receiver::start("200");
    let send = |receiver: &Receiver| {
        let mut command = breakeven();
        command.arg("report").arg(&run).arg(format!("--otlp={}", receiver.url()));
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=ci, authorization=Bearer abcdefgh");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    send(&receiver);
    send(&receiver);
    let requests = receiver.stop();
    let (first, second) = requests.split_at(requests.len() / 2);
    assert!(requests.iter().all(|(path, headers, _)| path == "/v1/traces"
        && headers["content-type"] == "application/x-protobuf"
        && headers["x-tenant"] == "ci"));
    assert_eq!(spans(first), spans(second), "the same spans with the same ids each time");

    let spans = spans(first);
    let of_run = breakeven::run::journal::read(&run).unwrap();
    let samples = of_run.events.iter().filter_map(|event| match event {
        breakeven::model::Event::SampleFinished { sample } => Some(sample),
        _ => None,
    });
    let ids: BTreeSet<&str> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len(), "no id twice");
    let mut traces: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for span in &spans {
        traces.entry(span["traceId"].as_str().unwrap()).or_default().push(span);
        assert!(nanoseconds(span, "startTimeUnixNano") <= nanoseconds(span, "endTimeUnixNano"));
        let parent = span["parentSpanId"].as_str();
        assert!(parent.is_none_or(|parent| ids.contains(parent)), "{span}");
    }
    let mut jobs = 0;
    for sample in samples {
        let number = sample.sample.to_string();
        let is_it = |span: &&Value| {
            span["parentSpanId"].is_null()
                && span["attributes"].as_array().unwrap().iter().any(|attribute| {
                    attribute["key"] == "breakeven.sample"
                        && attribute["value"]["intValue"].as_str() == Some(number.as_str())
                })
        };
        let job = spans.iter().find(is_it).expect("every job is there");
        let lasted = nanoseconds(job, "endTimeUnixNano") - nanoseconds(job, "startTimeUnixNano");
        assert!((lasted as f64 / 1e9 - sample.total_s()).abs() < 1e-6);
        let trace = &traces[job["traceId"].as_str().unwrap()];
        assert_eq!(trace.len(), 1 + sample.phases.len() + sample.steps.len());
        jobs += 1;
    }
    assert_eq!(traces.len(), jobs);
}

#[test]
fn a_receiver_that_refuses_or_is_not_there_is_said_and_the_report_stands() {
    let dir = tempfile::tempdir().unwrap();
    let run = sample_run(dir.path());
    let receiver = Receiver::start("503");
    let url = receiver.url();
    let mut said = Vec::new();
    let mut call = |more: &dyn Fn(&mut Command)| {
        let mut command = breakeven();
        command.arg("report").arg(&run).arg("--otlp");
        more(&mut command);
        let output = command.output().unwrap();
        said.push(String::from_utf8(output.stderr).unwrap());
        assert!(run.join("report.html").exists() && !output.stdout.is_empty());
        output.status.code()
    };
    let refused = call(&|command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    });
    receiver.stop();
    let gone = call(&|command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    });
    let headers = call(&|command| {
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "nothing");
    });
    assert_eq!([refused, gone, headers], [Some(3), Some(3), Some(2)], "{said:?}");
    assert!(said[0].contains("503") && said[0].contains("no room"), "{said:?}");
    assert!(said[1].contains("--otlp=URL"), "{said:?}");
    assert!(said[2].contains("OTEL_EXPORTER_OTLP_HEADERS"), "{said:?}");
}
