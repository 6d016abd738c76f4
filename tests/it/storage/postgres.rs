//! PostgreSQL: the conformance suite.

use super::site::*;

conformance_suite!(PostgresSite::new());
