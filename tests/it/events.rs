//! Server-sent events over a real socket: the link, passes and restarts, each told once and in order.

use std::time::Duration;

use awc::http::Method;
use futures_util::StreamExt;

use crate::helpers::{Plan, Site};

/// Listens on a task of its own; the names of all events so far, in order.
struct Listener {
    heard: std::rc::Rc<std::cell::RefCell<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Listener {
    async fn start(site: &Site) -> Self {
        let request = site.api().request(Method::GET, "/api/v1/events");
        let mut response = request.send().await.expect("a stream of events");
        assert_eq!(
            response.headers().get("content-type").expect("a type"),
            "text/event-stream"
        );
        let heard = std::rc::Rc::default();
        let ear: std::rc::Rc<std::cell::RefCell<String>> = std::rc::Rc::clone(&heard);
        let task = actix::spawn(async move {
            while let Some(Ok(part)) = response.next().await {
                ear.borrow_mut().push_str(&String::from_utf8_lossy(&part));
            }
        });
        let listener = Self { heard, task };
        site.eventually("the greeting", || !listener.heard.borrow().is_empty())
            .await;
        listener
    }

    fn names(&self) -> Vec<String> {
        let heard = self.heard.borrow();
        heard
            .lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .map(str::to_owned)
            .collect()
    }

    async fn has_heard(&self, site: &Site, names: &[&str]) {
        site.eventually("the events", || self.names().len() >= names.len())
            .await;
        assert_eq!(self.names(), names);
    }
}

#[actix::test]
async fn passes_changes_of_the_link_and_restarts_are_told() {
    let mut site = Plan::default().start_settled(2).await;
    let listener = Listener::start(&site).await;
    site.pass().await;
    let mut expected = vec!["pass-started", "pass-finished"];
    listener.has_heard(&site, &expected).await;

    site.simulator.set_down(true);
    drop(site.control().check_connectivity().await);
    expected.extend(["disconnected", "state-change"]);
    listener.has_heard(&site, &expected).await;

    site.simulator.set_down(false);
    site.advance_until("connected", Duration::from_millis(100), || {
        site.status().connectivity.is_connected
    })
    .await;
    expected.extend(["connected", "state-change", "pass-started", "pass-finished"]);
    listener.has_heard(&site, &expected).await;

    site.may_restart("heartbeat");
    site.points.arm("heartbeat.handler", 1);
    assert!(site.control().send_heartbeat().await.is_err());
    expected.push("actor-restarted");
    listener.has_heard(&site, &expected).await;
    assert!(listener.heard.borrow().contains("heartbeat.handler"));

    site.advance_until("restarted", Duration::from_millis(100), || {
        use meterit_sync::domain::status::ActorState;
        let actors = site.status().actors;
        actors
            .iter()
            .all(|actor| actor.state == ActorState::Running)
    })
    .await;
    listener.task.abort();
    site.finish().await;
}
