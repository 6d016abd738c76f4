//! What is needed for which call. Whatever is not named here needs a grant: to look, or to change where the method is one
//! that changes something.

use actix_web::http::Method;

use crate::domain::access::Grant;

/// The grant that a call needs; none where it needs nothing.
pub(in crate::http) fn needed(method: &Method, path: &str) -> Option<Grant> {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match path {
        // Supervisors have no tokens, and learn nothing here but that the service lives.
        "/health" | "/health/live" | "/health/ready" if looks => None,
        // Whoever is there has no grant yet, or gives it up.
        "/login" | "/logout" => None,
        // The page for logging in is made of them as well, and they are the same everywhere.
        _ if looks && path.starts_with("/assets/") => None,
        // Which tool is called is told inside; those that change something look at the grant themselves.
        "/mcp" => Some(Grant::Look),
        _ if looks => Some(Grant::Look),
        _ => Some(Grant::Change),
    }
}

/// The grant that a call of the Sync Frontend needs, which knows of no tokens; none for all other calls.
pub(super) fn needed_by_frontend(method: &Method, path: &str) -> Option<Grant> {
    match (method, path) {
        (&Method::POST, "/api/local/sync-trigger") => Some(Grant::Change),
        (&Method::GET, "/api/local/meters" | "/api/local/readings" | "/api/local/sync-status") => {
            Some(Grant::Look)
        }
        _ => None,
    }
}
