//! What can be read without calling a tool: the whole status, and the operation log.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents},
};
use serde_json::json;

use crate::{control::Control, domain::store::Window};

const STATUS: &str = "meterit://status";
const LOG: &str = "meterit://log";
const JSON: &str = "application/json";
/// Entries of the log that are shown.
const LOG_LENGTH: u32 = 100;

pub(super) fn shown() -> Vec<Resource> {
    vec![
        Resource::new(STATUS, "status")
            .with_title("Status")
            .with_description(
                "The whole truth about the service now: state, reason, queue, link, heartbeats, configuration, last pass, recent events, and how each of its parts fares.",
            )
            .with_mime_type(JSON),
        Resource::new(LOG, "log")
            .with_title("Sync log")
            .with_description(
                "The last 100 entries of the operation log, newest first: one for every batch that was uploaded or given up.",
            )
            .with_mime_type(JSON),
    ]
}

/// Reads one of them.
///
/// # Errors
/// When there is none of that name, or the Sync Database does not answer.
pub(super) async fn read(control: &Control, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        STATUS => json!(control.status()),
        LOG => {
            let window = Window {
                limit: LOG_LENGTH,
                offset: 0,
            };
            let page = control.sync_log(window).await.map_err(|refusal| {
                let problem =
                    json!({ "type": refusal.kind().urn(), "title": refusal.kind().title() });
                ErrorData::internal_error(refusal.to_string(), Some(problem))
            })?;
            json!(page)
        }
        _ => {
            return Err(ErrorData::resource_not_found(
                format!("there is no resource {uri:?}; there are {STATUS} and {LOG}"),
                Some(json!({ "uri": uri })),
            ));
        }
    };
    let text = ResourceContents::TextResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(JSON.to_owned()),
        text: content.to_string(),
        meta: None,
    };
    Ok(ReadResourceResult::new(vec![text]))
}
