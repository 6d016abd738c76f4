//! What Prometheus and Grafana make of the service: the metrics, the alerts and the dashboard fit each other, and the
//! programs that will read them find nothing to say against them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    http,
    readme::free_port,
    service::Service,
    site::Site,
    waiting::{wait_for, wait_until},
};
use crate::helpers::peers;

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/settings/prometheus");
const ALERTS: &str = include_str!("../../../settings/prometheus/alerts.yml");
const CONFIGURATION: &str = include_str!("../../../settings/prometheus/prometheus.yml");
const DASHBOARD: &str = include_str!("../../../settings/grafana/dashboard.json");

/// What an expression may be made of beside names of metrics.
const WORDS: [&str; 12] = [
    "and", "or", "unless", "by", "on", "bool", "without", "ignoring", "offset", "Inf", "NaN", "le",
];

/// A site that has uploaded something and sent a heartbeat.
fn busy_site() -> (Site, Service) {
    let site = Site::new();
    site.insert(2_500);
    let service = site.start();
    site.wait_until_drained(2_500);
    service.post("/api/v1/heartbeat", None).expect_status(200);
    wait_until("all readings to be counted as uploaded", || {
        service.get("/status")["sync"]["totalSynced"] == 2_500
    });
    (site, service)
}

fn metrics_of(service: &Service) -> String {
    let answer = http::request(service.port(), "GET", "/metrics", None);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Runs one of Prometheus' programs in the folder of its settings, with an input; it must find nothing to say.
fn assert_clean(mut command: Command, input: &str) {
    let mut child = command
        .current_dir(SETTINGS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut pipe = child.stdin.take().expect("a pipe");
    // What reads no input closes it.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{command:?}: {errors}");
}

fn promtool(arguments: &[&str]) -> Command {
    let mut command = peers::prometheus("promtool");
    command.args(arguments);
    command
}

/// The names under which the text tells something.
fn told(metrics: &str) -> BTreeSet<&str> {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect()
}

fn alert_expressions() -> Vec<String> {
    let expressions: Vec<String> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .map(str::to_owned)
        .collect();
    assert_eq!(expressions.len(), ALERTS.matches("- alert: ").count());
    expressions
}

/// Everything that the dashboard asks for, its variables included.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("expr" | "definition", Value::String(text)) => found.push(text.clone()),
                        _ => collect(value, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    found
}

/// Without what stands between an opening and a closing sign.
fn without(expression: &str, open: char, close: char) -> String {
    let mut inside = false;
    expression
        .chars()
        .filter(|sign| {
            let was_inside = inside;
            inside = *sign == open || (inside && *sign != close);
            !inside && !was_inside
        })
        .collect()
}

/// The metrics that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let mut rest = without(&without(expression, '{', '}'), '[', ']');
    for grouping in ["by (", "on (", "label_values("] {
        while let Some((before, after)) = rest.split_once(grouping) {
            let (labels, after) = after.split_once(')').expect("an end");
            // The first argument of `label_values` is a metric, all else here are labels.
            let metric = (grouping == "label_values(").then(|| labels.split(',').next().unwrap());
            rest = format!("{before} {} {after}", metric.unwrap_or_default());
        }
    }
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == ':';
    let mut found = BTreeSet::new();
    let mut remaining = rest.as_str();
    while let Some(begin) = remaining.find(is_part) {
        remaining = &remaining[begin..];
        let end = remaining
            .find(|sign| !is_part(sign))
            .unwrap_or(remaining.len());
        let (word, after) = remaining.split_at(end);
        remaining = after;
        let is_number = word.starts_with(|sign: char| sign.is_ascii_digit());
        let is_function = after.starts_with('(');
        if !is_number && !is_function && !WORDS.contains(&word) {
            let follows_aggregation = ["sum", "max", "min", "count"].contains(&word);
            if !follows_aggregation {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn metrics_keep_to_the_conventions_and_hold_what_alerts_and_dashboard_name() {
    let (_site, service) = busy_site();
    let metrics = metrics_of(&service);
    assert_clean(promtool(&["check", "metrics"]), &metrics);

    let told = told(&metrics);
    for expression in alert_expressions().iter().chain(&dashboard_expressions()) {
        let named = metrics_in(expression);
        assert!(!named.is_empty(), "{expression}");
        for name in named {
            // That a service answers is Prometheus' own finding.
            assert!(
                name == "up" || told.contains(name.as_str()),
                "{name} does not exist, but is named in: {expression}"
            );
        }
    }
    assert!(metrics.contains("meterit_sync_upload_batch_readings_sum 2500\n"));
    assert!(metrics.contains("meterit_sync_client_system_connected 1\n"));
    service.stop();
}

#[test]
fn names_of_metrics_are_found_in_expressions() {
    let found = metrics_in(
        "sum by (le) (rate(a_bucket{job=\"x\"}[5m])) / 3 > 1e4 unless on (job) time() - b{c=~\"d|e\"} < +Inf",
    );
    assert_eq!(found, BTreeSet::from(["a_bucket".into(), "b".into()]));
    let found = metrics_in("label_values(build{job=\"x\"}, instance)");
    assert_eq!(found, BTreeSet::from(["build".into()]));
}

#[test]
fn alerts_are_raised_when_they_should_be() {
    assert_clean(promtool(&["check", "config", "prometheus.yml"]), "");
    assert_clean(
        promtool(&["check", "rules", "--lint-fatal", "alerts.yml"]),
        "",
    );
    assert_clean(promtool(&["test", "rules", "alerts_test.yml"]), "");
    let tests = fs::read_to_string(format!("{SETTINGS}/alerts_test.yml")).unwrap();
    for alert in ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        for case in ["is raised", "is not raised"] {
            assert!(
                tests.contains(&format!("- name: {alert} {case}\n")),
                "{alert} {case}"
            );
        }
    }
}

/// A Prometheus that watches a service as the settings say; ended when the test lets go of it.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Prometheus {
    fn start(folder: &Path, service: &Service) -> Self {
        let configuration = CONFIGURATION
            .replace("127.0.0.1:3002", &format!("127.0.0.1:{}", service.port()))
            .replace("30s", "1s");
        fs::write(folder.join("prometheus.yml"), configuration).unwrap();
        fs::write(folder.join("alerts.yml"), ALERTS).unwrap();
        let port = free_port();
        let log = File::create(folder.join("log")).unwrap();
        let process = peers::prometheus("prometheus")
            .current_dir(folder)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("it can be run");
        Self { process, port }
    }

    /// What an expression comes to now; none while nobody answers.
    fn ask(&self, expression: &str) -> Option<Vec<Value>> {
        let output = Command::new("curl")
            .args(["--silent", "--get", "--data-urlencode"])
            .arg(format!("query={expression}"))
            .arg(format!("http://127.0.0.1:{}/api/v1/query", self.port))
            .output()
            .expect("curl must be installed");
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a panel asks for, with its variables filled in, and with what only is shown in times of trouble.
fn asked_in_good_times(expression: &str) -> String {
    let mut expression = expression
        .replace("$__rate_interval", "1m")
        .replace("$instance", ".*");
    for trouble in [" < +Inf", " == 0", " == 1", " > 0"] {
        expression = expression.replace(trouble, "");
    }
    expression
}

#[test]
fn every_panel_has_something_to_show() {
    let (site, service) = busy_site();
    let folder = site.file("prometheus");
    fs::create_dir(&folder).unwrap();
    let prometheus = Prometheus::start(&folder, &service);
    let scrapes =
        "count_over_time(meterit_sync_queue_readings{instance=\"name-of-the-site\"}[1m]) >= 3";
    wait_for("three looks at the service", || {
        prometheus.ask(scrapes).filter(|found| !found.is_empty())
    });
    for expression in dashboard_expressions() {
        if expression.starts_with("label_values(") {
            continue;
        }
        let asked = asked_in_good_times(&expression);
        let found = prometheus.ask(&asked).expect("an answer");
        assert!(!found.is_empty(), "nothing to show for: {expression}");
    }
    let raised = prometheus.ask("ALERTS").expect("an answer");
    assert!(raised.is_empty(), "a site that is well: {raised:?}");
    service.stop();
}
