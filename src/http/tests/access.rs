//! Who is let in with which token and from which page, without a socket. What every single route does is told by
//! `tests/it/access.rs`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use chrono::DateTime;
use secrecy::SecretString;

use super::*;
use crate::{
    control::testing::{answering, control},
    http::TokenChange,
};

const CONTROL: &str = "control-token-of-the-test";
const READ: &str = "read-token-of-the-test";
const PAGE: &str = "http://127.0.0.1:3000";
const OWN: &str = "http://127.0.0.1:3002";
/// What the Sync Frontend shows.
const LOOKS: [&str; 3] = [
    "/api/local/meters",
    "/api/local/readings",
    "/api/local/sync-status",
];

/// A service with tokens, whose starting of the uploading is counted.
struct Door {
    access: Access,
    control: Control,
    clock: Clock,
    started: Arc<AtomicU32>,
}

fn tokens(control: Option<&str>, read: Option<&str>) -> Tokens {
    let [control, read] = [control, read].map(|token| token.map(SecretString::from));
    Tokens::new(control.as_ref(), read.as_ref())
}

impl Door {
    fn new(rules: Rules, read: Option<&str>) -> Self {
        let started = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&started);
        let control = control(|parts| {
            let started = Arc::clone(&counter);
            parts.start_sync = answering(move |_| started.fetch_add(1, Ordering::Relaxed) == 0);
            parts.trigger_sync = answering(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(7)
            });
        });
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        Self {
            access: Access::new(rules, tokens(Some(CONTROL), read), clock.clone()),
            control,
            clock,
            started,
        }
    }

    async fn ask(&self, method: Method, uri: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = TestRequest::default()
            .method(method)
            .uri(uri)
            .insert_header(("Host", "127.0.0.1:3002"));
        for header in headers {
            request = request.append_header(*header);
        }
        send_to(&self.access, self.control.clone(), request).await
    }

    async fn start(&self, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::POST, "/api/v1/sync/start", headers).await
    }

    async fn log_in(&self, token: &str) -> Answer {
        let request = TestRequest::post()
            .uri("/login")
            .insert_header(("Host", "127.0.0.1:3002"))
            .insert_header(("Origin", OWN))
            .insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload(format!("token={token}"));
        send_to(&self.access, self.control.clone(), request).await
    }

    /// What a browser that has logged in sends along.
    async fn cookie(&self, token: &str) -> String {
        let answer = self.log_in(token).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert_eq!(answer.header("location"), Some("/"));
        let cookie = answer.header("set-cookie").expect("a cookie");
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        cookie.split(';').next().expect("a pair").to_owned()
    }

    fn starts(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn lan() -> Rules {
    Rules {
        listens_on: "0.0.0.0".parse().expect("an address"),
        ..Rules::default()
    }
}

#[actix_web::test]
async fn changing_something_needs_the_control_token() {
    let door = Door::new(Rules::default(), Some(READ));
    let (control, read) = (bearer(CONTROL), bearer(READ));
    let none = door.start(&[]).await;
    none.problem(401, "token-needed");
    assert_eq!(
        none.header("www-authenticate"),
        Some("Bearer realm=\"meterit-sync\"")
    );
    let wrong = door.start(&[("authorization", "Bearer nonsense")]).await;
    wrong.problem(401, "wrong-token");
    assert!(
        wrong
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
    door.start(&[("authorization", &read)])
        .await
        .problem(403, "control-token-needed");
    assert_eq!(door.starts(), 0);
    assert_eq!(door.start(&[("authorization", &control)]).await.status, 200);
    assert_eq!(door.starts(), 1);
    let refused = door.control.status().refused_calls;
    assert_eq!(
        (refused.no_token, refused.wrong_token, refused.looks_only),
        (1, 1, 1)
    );
    assert!(refused.last_wrong_token_at.is_some());
    let metrics = door
        .ask(Method::GET, "/metrics", &[("authorization", &read)])
        .await;
    let line = "meterit_sync_local_api_refused_calls_total{reason=\"wrong_token\"} 1";
    assert!(metrics.text.contains(line), "{}", metrics.text);
}

#[actix_web::test]
async fn looking_needs_a_token_once_one_is_set_for_it_or_others_reach_the_service() {
    for (rules, read, is_open) in [
        (Rules::default(), None, true),
        (Rules::default(), Some(READ), false),
        (lan(), None, false),
        (lan(), Some(READ), false),
    ] {
        let door = Door::new(rules, read);
        let status = door.ask(Method::GET, "/status", &[]).await;
        if is_open {
            assert_eq!(status.status, 200);
        } else {
            status.problem(401, "token-needed");
        }
        for uri in [
            "/health",
            "/health/live",
            "/health/ready",
            "/assets/page.css",
        ] {
            assert_eq!(door.ask(Method::GET, uri, &[]).await.status, 200, "{uri}");
        }
        let control = bearer(CONTROL);
        let named = [("authorization", control.as_str())];
        assert_eq!(door.ask(Method::GET, "/status", &named).await.status, 200);
    }
}

#[actix_web::test]
async fn the_frontend_needs_no_token_where_it_is_a_page_of_this_machine() {
    for rules in [Rules::default(), lan()] {
        let door = Door::new(rules.clone(), Some(READ));
        let page = [("origin", PAGE)];
        let trigger = "/api/local/sync-trigger";
        assert_eq!(door.ask(Method::POST, trigger, &page).await.status, 200);
        for shown in LOOKS {
            let refused = door.ask(Method::GET, shown, &page).await;
            refused.problem(401, "token-needed");
        }
        let elsewhere = [("origin", "http://evil.example")];
        let refused = door.ask(Method::POST, trigger, &elsewhere).await;
        refused.problem(403, "foreign-origin");
        door.ask(Method::POST, trigger, &[])
            .await
            .problem(401, "token-needed");
        let other = door.ask(Method::POST, "/api/v1/sync/trigger", &page).await;
        other.problem(401, "token-needed");
        // So that its page can read why.
        assert_eq!(other.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(door.starts(), 1);

        let only_looks = Rules {
            frontend_without_token: false,
            frontend_reads_without_token: true,
            ..rules
        };
        let door = Door::new(only_looks, Some(READ));
        let refused = door.ask(Method::POST, trigger, &page).await;
        refused.problem(401, "token-needed");
        assert_eq!(door.starts(), 0);
        for shown in LOOKS {
            let seen = door.ask(Method::GET, shown, &page).await;
            assert_ne!(seen.status, 401, "{shown}: {}", seen.text);
            let unnamed = door.ask(Method::GET, shown, &[]).await;
            unnamed.problem(401, "token-needed");
        }
        for hidden in [
            "/api/local/nothing",
            "/api/local/meters/1",
            "/status",
            "/mcp",
        ] {
            let refused = door.ask(Method::GET, hidden, &page).await;
            refused.problem(401, "token-needed");
        }
    }
}

#[actix_web::test]
async fn guessing_is_slowed_down_and_ends_nothing_else() {
    let door = Door::new(Rules::default(), Some(READ));
    let control = bearer(CONTROL);
    for _ in 0..10 {
        door.start(&[("authorization", "Bearer guess")])
            .await
            .problem(401, "wrong-token");
    }
    for _ in 0..20 {
        let slowed = door.start(&[("authorization", "Bearer guess")]).await;
        slowed.problem(429, "too-many-wrong-tokens");
        assert_eq!(slowed.header("retry-after"), Some("1"));
    }
    assert_eq!(door.log_in("guess").await.status, 429);
    assert_eq!(door.starts(), 0);
    let refused = door.control.status().refused_calls;
    assert_eq!(
        (refused.wrong_token, refused.too_many_wrong_tokens),
        (10, 21)
    );
    // Whoever guesses must not lock out whoever has the right one and comes from the same machine.
    assert_eq!(door.start(&[("authorization", &control)]).await.status, 200);
    assert_eq!(door.log_in(CONTROL).await.status, 303);
    assert_eq!(door.starts(), 1);
    door.start(&[("authorization", "Bearer guess")])
        .await
        .problem(429, "too-many-wrong-tokens");
    door.clock.advance(Duration::from_secs(1));
    door.start(&[("authorization", "Bearer guess")])
        .await
        .problem(401, "wrong-token");
}

#[actix_web::test]
async fn a_person_logs_in_and_out() {
    let door = Door::new(Rules::default(), Some(READ));
    let asked = door
        .ask(Method::GET, "/", &[("accept", "text/html,*/*;q=0.8")])
        .await;
    assert_eq!(asked.status, 401);
    assert!(asked.text.contains("action=\"/login\""), "{}", asked.text);
    let policy = asked.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let wrong = door.log_in("nonsense").await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.text.contains("none of the service's"),
        "{}",
        wrong.text
    );
    assert_eq!(wrong.header("set-cookie"), None);

    let cookie = door.cookie(CONTROL).await;
    let own = [(COOKIE.as_str(), cookie.as_str()), ("origin", OWN)];
    assert_eq!(door.start(&own).await.status, 200);
    let page = door.ask(Method::GET, "/", &own).await;
    assert_eq!(page.status, 200);
    // A page at another port of the same machine has the cookie sent along as well.
    for of_others in [
        &[(COOKIE.as_str(), cookie.as_str()), ("origin", PAGE)][..],
        &[
            (COOKIE.as_str(), cookie.as_str()),
            ("sec-fetch-site", "same-site"),
        ],
        &[(COOKIE.as_str(), cookie.as_str())],
    ] {
        door.start(of_others).await.problem(401, "token-needed");
    }
    assert_eq!(door.starts(), 1);
    let by_others = [(COOKIE.as_str(), cookie.as_str()), ("origin", PAGE)];
    door.ask(Method::POST, "/logout", &by_others).await;
    assert_eq!(door.ask(Method::GET, "/status", &own).await.status, 200);
    let left = door.ask(Method::POST, "/logout", &own).await;
    assert_eq!(left.header("location"), Some("/login"));
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));
    door.start(&own).await.problem(401, "token-needed");

    let cookie = door.cookie(READ).await;
    let own = [(COOKIE.as_str(), cookie.as_str()), ("origin", OWN)];
    assert_eq!(door.ask(Method::GET, "/status", &own).await.status, 200);
    door.start(&own).await.problem(403, "control-token-needed");
    door.clock.advance(Duration::from_secs(13 * 3_600));
    let ended = door.ask(Method::GET, "/status", &own).await;
    ended.problem(401, "token-needed");
}

#[actix_web::test]
async fn other_tokens_end_what_the_old_ones_began() {
    let door = Door::new(lan(), None);
    let cookie = door.cookie(CONTROL).await;
    let own = [(COOKIE.as_str(), cookie.as_str()), ("origin", OWN)];
    let refused = door.access.change_tokens(Tokens::default());
    assert_eq!(
        refused,
        TokenChange::Refused,
        "all of the network would be let in"
    );
    let same = door.access.change_tokens(tokens(Some(CONTROL), None));
    assert_eq!(same, TokenChange::Same);
    assert_eq!(door.start(&own).await.status, 200);
    let taken = door
        .access
        .change_tokens(tokens(Some("another-token"), None));
    assert_eq!(taken, TokenChange::Taken);
    door.start(&own).await.problem(401, "token-needed");
    let old = bearer(CONTROL);
    door.start(&[(AUTHORIZATION.as_str(), &old)])
        .await
        .problem(401, "wrong-token");
}

#[actix_web::test]
async fn without_tokens_nobody_has_to_log_in() {
    let open = || Access::new(Rules::default(), Tokens::default(), Clock::system());
    for uri in ["/login", "/"] {
        let request = TestRequest::get().uri(uri);
        let answer = send_to(&open(), control(|_| {}), request).await;
        assert_ne!(answer.status, 401, "{uri}");
    }
}
