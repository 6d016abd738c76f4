//! The page as a whole: what is where, and what stays the same whatever happens.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    charts::{Chart, Drawn},
    now,
    view::{SPANS, View},
    words::clock,
    works,
};
use crate::domain::{status::ServiceStatus, timestamp::Timestamp};

/// Everything that the page shows.
pub(super) struct Contents<'status> {
    pub(super) status: &'status ServiceStatus,
    pub(super) now: Timestamp,
    pub(super) view: View,
    /// In the order of [`Chart::ALL`]; none where the past cannot be read.
    pub(super) charts: Vec<(Chart, Option<Drawn>)>,
    pub(super) meters: Markup,
    pub(super) quarantine: Markup,
    pub(super) settings: Markup,
    pub(super) visitor: Visitor,
}

/// Who looks at it.
#[derive(Clone, Copy)]
pub(super) struct Visitor {
    /// Else there is nothing to press.
    pub(super) may_change: bool,
    /// Whether there is something to log out of.
    pub(super) has_session: bool,
    /// Whether logging in lets do more.
    pub(super) may_log_in: bool,
}

/// What can be jumped to.
const SECTIONS: [(&str, &str); 7] = [
    ("trends", "Trends"),
    ("quarantine", "Quarantine"),
    ("passes", "Passes"),
    ("client-system", "Client System"),
    ("settings", "Configuration"),
    ("meters", "Meters"),
    ("actors", "Parts"),
];

/// Buttons and what they ask for; what they do is said on hovering.
const ACTIONS: [(&str, &str, &str); 4] = [
    ("trigger", "Sync now", "Upload what waits"),
    (
        "check",
        "Check now",
        "See whether the Client System can be reached",
    ),
    (
        "heartbeat",
        "Heartbeat",
        "Send a sign of life to the Client System",
    ),
    (
        "download",
        "Download configuration",
        "Fetch meters and intervals from the Client System",
    ),
];

pub(super) fn page(contents: &Contents<'_>) -> String {
    let Contents { status, now, .. } = contents;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(status))
            body {
                a .skip href="#main" { "Skip to the content" }
                (banner(status, contents.visitor))
                main #main tabindex="-1" {
                    div #lost .lost role="alert" {}
                    (now::verdict(status, *now))
                    (now::figures(status, *now))
                    (actions(status, contents.visitor))
                    (trends(contents))
                    (sections(contents))
                }
                (footer(status, *now))
                (dialogs())
                div #outcome .outcome {
                    p #outcome-words role="status" aria-live="polite" {}
                    button type="button" #outcome-close hidden { "Close" }
                }
                div #spoken .hidden role="status" {}
            }
        }
    };
    markup.into_string()
}

fn head(status: &ServiceStatus) -> Markup {
    let tone = now::mood(status.state).tone;
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (now::title(status)) }
            link rel="icon" type="image/svg+xml" href={ "/assets/" (tone) ".svg" };
            link rel="stylesheet" href="/assets/page.css";
            @for script in ["page", "actions", "charts", "times"] {
                link rel="modulepreload" href={ "/assets/" (script) ".js" };
            }
            script type="module" src="/assets/page.js" {}
        }
    }
}

fn banner(status: &ServiceStatus, visitor: Visitor) -> Markup {
    html! {
        header .banner {
            p .brand {
                strong { "meterit-sync" }
                @if let Some(site) = &status.config.site { " " span .site { (site) } }
            }
            nav aria-label="Sections" {
                ul {
                    @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } }
                }
            }
            @if visitor.has_session {
                form method="post" action="/logout" { button #log-out type="submit" { "Log out" } }
            } @else if visitor.may_log_in {
                a #log-in href="/login" { "Log in" }
            }
        }
    }
}

fn actions(status: &ServiceStatus, visitor: Visitor) -> Markup {
    if !visitor.may_change {
        return html! {
            p #looks-only .note { "You may look here. To act, log in with the control token." }
        };
    }
    let (action, name) = if status.sync.is_running {
        ("stop", "Stop uploading")
    } else {
        ("start", "Start uploading")
    };
    html! {
        section .actions .live-only aria-label="Actions" {
            @for (action, name, title) in ACTIONS {
                button type="button" data-action=(action) title=(title) { (name) }
            }
            button type="button" #switch data-action=(action) { (name) }
        }
        noscript {
            p .note { "Without JavaScript this page shows how things are now; reload it to see how they went on." }
        }
    }
}

fn trends(contents: &Contents<'_>) -> Markup {
    let view = contents.view;
    html! {
        section #trends aria-labelledby="trends-title" {
            div .headline {
                h2 #trends-title { "Trends" }
                nav .spans aria-label="Span of the charts" {
                    @for (hours, name) in SPANS {
                        a href=(View { hours, ..view }.link("trends")) data-hours=(hours)
                            aria-current=[(hours == view.hours).then_some("true")] { (name) }
                    }
                }
            }
            div .charts {
                @for (chart, drawn) in &contents.charts {
                    figure data-chart=(chart.name()) {
                        figcaption {
                            h3 { (chart.title()) }
                            p .summary aria-hidden="true" {
                                (drawn.as_ref().map_or("cannot be read at the moment", |drawn| &drawn.summary))
                            }
                            @if *chart == Chart::Link { (legend()) }
                        }
                        div .canvas { @if let Some(drawn) = drawn { (PreEscaped(&drawn.svg)) } }
                    }
                }
            }
        }
    }
}

/// What the colours of the connectivity mean; its summary says it in words.
fn legend() -> Markup {
    html! {
        ul .legend aria-hidden="true" {
            li { span .key .up {} "up" }
            li { span .key .down {} "down" }
            li { span .key .absent {} "service not running" }
        }
    }
}

fn sections(contents: &Contents<'_>) -> Markup {
    let Contents { status, now, .. } = contents;
    html! {
        (section("quarantine", "Quarantine", &contents.quarantine))
        div .columns {
            div .column {
                (section("passes", "Last passes", &works::passes(status, *now)))
                (section("client-system", "Client System", &works::client_system(status, *now)))
                (section("settings", "Configuration", &contents.settings))
            }
            div .column {
                (section("meters", "Meters", &contents.meters))
                (section("actors", "Parts of the service", &works::actors(status, *now)))
            }
        }
    }
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) .panel aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } tabindex="-1" { (title) }
            (content)
        }
    }
}

/// A person confirms what cannot be undone, or may double a reading.
fn dialogs() -> Markup {
    html! {
        dialog #confirm aria-labelledby="confirm-title" aria-describedby="confirm-words" {
            h2 #confirm-title {}
            p #confirm-words {}
            label #confirm-double hidden {
                input #confirm-accept type="checkbox";
                span { "I accept that this reading may then be there twice." }
            }
            div .buttons {
                button type="button" #confirm-no { "Cancel" }
                button type="button" #confirm-yes {}
            }
        }
    }
}

fn footer(status: &ServiceStatus, now: Timestamp) -> Markup {
    html! {
        footer {
            (works::program(status, now))
            p { span #freshness { "As of " (clock(now)) "." } }
            ul {
                li { a href="/docs/" { "API" } }
                li { a href="/status" { "Status as JSON" } }
                li { a href="/metrics" { "Metrics" } }
            }
        }
    }
}
