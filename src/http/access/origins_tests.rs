//! Names and pages of this machine are told from others, wherever the local API listens.

use actix_web::test::TestRequest;

use super::*;

fn lan(names: &[&str]) -> Rules {
    Rules {
        listens_on: "192.0.2.7".parse().expect("an address"),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Rules::default()
    }
}

fn head(headers: &[(&str, &str)]) -> RequestHead {
    let mut request = TestRequest::default();
    for header in headers {
        request = request.append_header(*header);
    }
    let mut head = RequestHead::default();
    *head.headers_mut() = request.to_srv_request().headers().clone();
    head
}

#[track_caller]
fn assert_host(rules: &Rules, host: &str, is_known: bool) {
    let found = rules.foreign_host(&head(&[("host", host)]));
    assert_eq!(found.is_none(), is_known, "{host}");
}

#[track_caller]
fn assert_origin(rules: &Rules, host: &str, origin: &str, may_ask: bool) {
    let found = rules.foreign_origin(&head(&[("host", host), ("origin", origin)]));
    assert_eq!(found.is_none(), may_ask, "{origin} asks {host}");
}

#[test]
fn names_of_this_machine_are_told_from_others() {
    let own = [
        "localhost:3002",
        "127.0.0.1:3002",
        "[::1]:3002",
        "LOCALHOST",
    ];
    let foreign = [
        "evil.example:3002",
        "192.168.1.2",
        "",
        "/",
        "127.0.0.1.evil.example",
        "localhost.",
    ];
    let all = Rules {
        listens_on: "0.0.0.0".parse().expect("an address"),
        ..Rules::default()
    };
    for rules in [Rules::default(), lan(&["edge-7"]), all.clone()] {
        for host in own {
            assert_host(&rules, host, true);
        }
    }
    for rules in [Rules::default(), lan(&["edge-7"])] {
        for host in foreign {
            assert_host(&rules, host, false);
        }
    }
    assert_host(&lan(&[]), "192.0.2.7:3002", true);
    assert_host(&lan(&["edge-7"]), "Edge-7:3002", true);
    assert_host(&lan(&[]), "edge-7:3002", false);
    assert_host(&all, "192.168.1.2", true);
    assert_host(&all, "evil.example", false);
    // One that is known does not hide another.
    let both = head(&[("host", "localhost"), ("host", "evil.example")]);
    assert!(Rules::default().foreign_host(&both).is_some());
    let mut absolute = head(&[("host", "localhost")]);
    absolute.uri = Uri::from_static("http://evil.example/status");
    assert!(Rules::default().foreign_host(&absolute).is_some());
}

#[test]
fn pages_of_this_machine_are_told_from_others() {
    let rules = Rules::default();
    for own in [
        "http://localhost:3000",
        "http://LOCALHOST",
        "https://127.0.0.1:8443",
        "http://[::1]:3000",
    ] {
        assert_origin(&rules, "127.0.0.1:3002", own, true);
    }
    for foreign in [
        "null",
        "",
        "localhost",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://evil.example/localhost",
        "http://192.168.1.2:3000",
        "file://",
    ] {
        assert_origin(&rules, "127.0.0.1:3002", foreign, false);
    }
    let lan = lan(&["edge-7"]);
    assert_origin(&lan, "192.0.2.7:3002", "http://192.0.2.7:3000", true);
    assert_origin(&lan, "192.0.2.7:3002", "http://edge-7:3000", true);
    assert_origin(&lan, "edge-7:3002", "http://edge-7:3002", true);
    // Of the machine of whoever looks at it, which is another one.
    assert_origin(&lan, "edge-7:3002", "http://localhost:3000", false);
    assert_origin(&lan, "edge-7:3002", "http://evil.example", false);
}

#[test]
fn the_setting_decides_whose_pages_may_ask() {
    let nobody = Rules {
        same_host: false,
        ..Rules::default()
    };
    assert_origin(&nobody, "localhost:3002", "http://localhost:3000", false);
    assert_origin(&nobody, "localhost:3002", "http://localhost:3002", true);
    let some = Rules {
        origins: vec!["https://dash.example:8443".to_owned()],
        ..nobody
    };
    assert_origin(&some, "localhost:3002", "https://dash.example:8443", true);
    assert_origin(&some, "localhost:3002", "https://dash.example", false);
    assert_origin(&some, "localhost:3002", "http://dash.example:8443", false);
}

#[test]
fn what_a_page_from_elsewhere_embeds_is_refused_and_a_link_is_not() {
    let rules = Rules::default();
    let embedded = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
    ];
    assert!(rules.foreign_origin(&head(&embedded)).is_some());
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    assert!(rules.foreign_origin(&head(&link)).is_none());
    let neighbour = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "no-cors"),
    ];
    assert!(rules.foreign_origin(&head(&neighbour)).is_none());
    assert!(
        !rules.is_own_page(&head(&neighbour)),
        "it may not use a session"
    );
}

#[test]
fn a_session_is_good_for_the_own_page_only() {
    let is_own = |method: Method, headers: &[(&str, &str)]| {
        let mut head = head(headers);
        head.method = method;
        Rules::default().is_own_page(&head)
    };
    let host = ("host", "edge-7");
    assert!(is_own(Method::POST, &[host, ("origin", "http://edge-7")]));
    assert!(is_own(Method::POST, &[host, ("origin", "https://edge-7")]));
    assert!(!is_own(
        Method::POST,
        &[host, ("origin", "http://edge-7:3000")]
    ));
    assert!(!is_own(
        Method::GET,
        &[host, ("origin", "http://edge-7:3000")]
    ));
    assert!(is_own(
        Method::POST,
        &[host, ("sec-fetch-site", "same-origin")]
    ));
    assert!(
        !is_own(Method::POST, &[host]),
        "nothing tells whose page it is"
    );
    assert!(is_own(Method::GET, &[host]));
    assert!(is_own(Method::GET, &[host, ("sec-fetch-site", "none")]));
}

#[test]
fn another_scheme_of_the_same_host_is_another_page() {
    let is_own = |encrypted, host: &str, headers: &[(&str, &str)]| {
        let rules = Rules {
            encrypted,
            ..Rules::default()
        };
        let mut head = head(&[&[("host", host)], headers].concat());
        head.method = Method::POST;
        rules.is_own_page(&head)
    };
    let from = |origin| [("origin", origin)];
    for host in ["localhost", "localhost:443"] {
        assert!(is_own(true, host, &from("https://localhost")), "{host}");
        assert!(!is_own(true, host, &from("http://localhost")), "{host}");
        assert!(!is_own(true, host, &from("http://localhost:80")), "{host}");
    }
    assert!(is_own(false, "localhost:80", &from("http://localhost")));
    assert!(!is_own(false, "localhost:80", &from("https://localhost")));
    // Behind a proxy that speaks TLS to browsers.
    assert!(is_own(false, "edge-7", &from("https://edge-7")));
    let told_by_the_browser = [
        ("origin", "https://edge-7"),
        ("sec-fetch-site", "same-site"),
    ];
    assert!(!is_own(false, "edge-7", &told_by_the_browser));
}
