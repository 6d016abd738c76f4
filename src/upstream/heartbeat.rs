//! The heartbeat as it goes over the wire.

use serde::Serialize;
use serde_json::Value;

use crate::domain::{status::State, timestamp::Timestamp};

/// What a heartbeat tells the Client System.
#[derive(Clone, Debug, Serialize)]
pub struct HeartbeatReport {
    /// The service's state.
    pub status: State,
    /// Readings that wait; left out while nobody has counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_size: Option<u64>,
    /// When the newest reading was measured.
    pub last_collection: Option<Timestamp>,
    /// The program's version.
    pub version: &'static str,
    /// Seconds since the process started.
    pub uptime: u64,
}

/// The server's clock in the answer to a heartbeat.
///
/// # Errors
/// In words, when the answer is no success.
pub fn parse_heartbeat_answer(body: &[u8]) -> Result<Option<Timestamp>, String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    if json.get("success").and_then(Value::as_bool) != Some(true) {
        return Err(format!("the answer says that it is no success: {json}"));
    }
    Ok(json
        .get("server_time")
        .and_then(Value::as_str)
        .and_then(Timestamp::parse_zoned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_has_counted_is_not_told_as_empty() {
        let told = |queue_size| {
            let report = HeartbeatReport {
                status: State::Degraded,
                queue_size,
                last_collection: None,
                version: "1",
                uptime: 1,
            };
            serde_json::to_value(report).expect("JSON")
        };
        assert_eq!(told(Some(0))["queue_size"], 0);
        assert!(told(None).get("queue_size").is_none());
    }
}
