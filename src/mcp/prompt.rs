//! The prompt `diagnose_site`: what an assistant needs to find out what a site suffers from.

use rmcp::model::{GetPromptResult, Prompt, PromptMessage, Role};
use serde_json::json;

use crate::control::Control;

pub(super) const NAME: &str = "diagnose_site";
const DESCRIPTION: &str =
    "Find out whether this site is well, what is wrong with it, since when, and what will mend it.";

const STEPS: &str = "\
Please find out whether this site is well. It runs meterit-sync, which takes meter readings out of a local database \
and uploads them, each exactly once, to the Client System of the energy company. Readings that cannot be uploaded \
are kept; almost all troubles end by themselves once their cause is gone. Change nothing on the way: only look, and \
ask me before you call a tool that does more than look.

1. Read the status at the end of this message. `state` is the most serious condition that holds, in a word; `reason` \
says what happened, what it means and what will mend it; `since` says how long it has lasted. `ok` and `syncing` are \
well. `offline` and `rate_limited` end by themselves. `unauthorized` and `misconfigured` need somebody who can correct \
the key or the address. `stopped` means that a person switched the uploading off. `degraded` is explained by its reason.
2. Look at the queue. `pending` readings wait; `oldest_pending_at` says for how long. A long queue that shrinks \
(`drain_rate_per_s`, `eta_s`) is a backlog on its way and no trouble; a queue that only grows is one. Mind \
`disk_free_bytes` and `hours_until_full`.
3. Look at the link under `connectivity`, and at `heartbeat` and `config`: do they fail together? Then it is the link, \
the address or the key. Does only one of them fail? Then its `last_error` says why. get_connectivity_status and \
check_connectivity tell more; the latter asks the Client System now.
4. Call get_sync_status for the last 24 hours and the last entries of the operation log, or read meterit://log for \
more of it. Do failures come one by one, or did they begin at a certain time? The Client System's own words are in \
`error_message`.
5. If `quarantined` is not 0, call list_quarantine. Readings that were `refused` need a correction at their source or a \
known meter; `unreadable` ones were written wrongly by another program; `possibly_stored` ones have to be looked up \
in the Client System before anyone re-queues or discards them.
6. Call get_meter_status. Are there meters whose last reading is much older than that of the others? Then the meter or \
its collection stands still, which is not this service's doing.
7. Look at `actors`: `restarts` that grow, or a state other than `running`, mean that a part of the service itself \
fails, and `last_failure` says how.

Then tell me in a few sentences, for somebody who is not an expert: is the site well or not; what is wrong, since when, \
and how you know; whether readings are lost (they hardly ever are), late, or set aside; what mends it, and who has to do \
it. Say plainly what you could not find out.

The status of the site now:

";

pub(super) fn shown() -> Prompt {
    Prompt::new(NAME, Some(DESCRIPTION), None).with_title("Diagnose this site")
}

pub(super) fn filled_in(control: &Control) -> GetPromptResult {
    let status = serde_json::to_string_pretty(&json!(control.status())).unwrap_or_default();
    let message = PromptMessage::new_text(Role::User, format!("{STEPS}```json\n{status}\n```\n"));
    GetPromptResult::new(vec![message]).with_description(DESCRIPTION)
}
