//! Scripted faults: which call goes wrong, how often, and in which way. The same shapes are read from a
//! JSON file, taken by the control API and built in Rust.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{answer::packed_blanks, database::Rollback, reading::Reading};

/// One scripted fault. Rules are tried in order; a delay lets later rules act on the same request, any
/// other action ends the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The call it applies to.
    #[serde(default)]
    pub path: FaultPath,
    /// How many matching requests pass before it acts.
    #[serde(default)]
    pub skip: u64,
    /// How often it acts; forever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Acts only on batches of more readings than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<usize>,
    /// Acts only on batches that contain such a reading; [`Naming`] names these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<ReadingPattern>,
    /// The request is first processed (and committed) as if nothing were wrong; only its answer suffers.
    #[serde(default)]
    pub commit: bool,
    /// What goes wrong.
    pub action: FaultAction,
}

/// The call that a rule applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPath {
    /// `GET /api/health`
    Health,
    /// `POST /api/sync/auth`
    Auth,
    /// `POST /api/sync/readings/batch`
    Batch,
    /// `GET /api/sync/config`
    Config,
    /// `POST /api/sync/heartbeat`
    Heartbeat,
    /// Every call under `/api`.
    #[default]
    Any,
}

/// Readings by their text, exactly; an absent field matches every reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadingPattern {
    /// The meter's external id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// The data point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_point: Option<String>,
    /// The value's digits as they were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl ReadingPattern {
    fn matches(&self, reading: &Reading) -> bool {
        let same = |wanted: &Option<String>, text: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == text)
        };
        same(&self.meter, &reading.meter)
            && same(&self.data_point, &reading.data_point)
            && same(&self.value, &reading.value)
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// This answer instead of ours.
    Answer {
        /// The HTTP status code.
        status: u16,
        /// Headers by name; `Content-Type` is JSON unless it is given here.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body as it is sent.
        #[serde(default)]
        body: String,
    },
    /// Waits, then carries on; with `commit` the wait comes between the commit and the answer.
    Delay {
        /// How long, in milliseconds.
        milliseconds: u64,
    },
    /// A TCP reset (RST) instead of an answer.
    Reset,
    /// The connection is closed in good order (FIN) instead of an answer.
    Close,
    /// The answer announces its whole length, sends only so much, and closes.
    Truncate {
        /// Bytes of the body that are sent.
        keep_bytes: usize,
    },
    /// Status 200 with a body that is not JSON.
    Garbage,
    /// Status 200 with `"success":false` and nothing else to go by.
    Unsuccessful,
    /// Rows of the batch fail in the database.
    Partial(PartialFault),
    /// The whole batch is refused with 400.
    Refuse {
        /// Which readings the errors name.
        #[serde(default)]
        naming: Naming,
    },
    /// Status 200 with an endless-looking body.
    Gigantic {
        /// Length of the body.
        bytes: u64,
    },
    /// Status 200 with a compressed body that is so long when it is unpacked.
    Bomb {
        /// Length of the unpacked body.
        bytes: usize,
    },
    /// Status 200 with a body that comes byte by byte and never ends.
    Drip {
        /// Between two bytes, in milliseconds.
        milliseconds: u64,
    },
    /// No answer at all, until the client closes the connection.
    Hang,
}

impl FaultAction {
    /// The action's name in JSON, for the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Delay { .. } => "delay",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Truncate { .. } => "truncate",
            Self::Garbage => "garbage",
            Self::Unsuccessful => "unsuccessful",
            Self::Partial(_) => "partial",
            Self::Refuse { .. } => "refuse",
            Self::Gigantic { .. } => "gigantic",
            Self::Bomb { .. } => "bomb",
            Self::Drip { .. } => "drip",
            Self::Hang => "hang",
        }
    }
}

/// Rows that fail in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartialFault {
    /// Indexes of the failing rows; when empty, the rows that match the rule's `contains`.
    pub rows: Vec<usize>,
    /// The database's words; a numeric overflow when empty.
    pub error: String,
    /// Counts the failing rows in `skipped` but leaves `errors` empty.
    pub hide_errors: bool,
    /// Behaves as this version of the server, whatever the simulator is set to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// Which readings the errors of a 400 name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// Each reading that matches the rule's `contains`; all of them without one.
    #[default]
    Every,
    /// Only the first of these.
    First,
    /// None: the client has to find out by halving.
    Nothing,
}

impl FaultRule {
    /// A rule that acts on every request to `path`, before anything is committed.
    pub fn on(path: FaultPath, action: FaultAction) -> Self {
        if let FaultAction::Bomb { bytes } = action {
            // Before anybody waits for it.
            packed_blanks(bytes);
        }
        Self {
            path,
            skip: 0,
            times: None,
            larger_than: None,
            contains: None,
            commit: false,
            action,
        }
    }

    /// The rules of a JSON file: a list of rules.
    ///
    /// # Errors
    /// The file cannot be read, or is no such list (`InvalidData`).
    pub fn from_file(path: &Path) -> io::Result<Vec<Self>> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::from)
    }

    /// Lets the first `requests` matching requests pass.
    #[must_use]
    pub fn skip(self, requests: u64) -> Self {
        Self {
            skip: requests,
            ..self
        }
    }

    /// Acts only `requests` times.
    #[must_use]
    pub fn times(self, requests: u64) -> Self {
        Self {
            times: Some(requests),
            ..self
        }
    }

    /// Acts only on batches of more than `readings` readings.
    #[must_use]
    pub fn larger_than(self, readings: usize) -> Self {
        Self {
            larger_than: Some(readings),
            ..self
        }
    }

    /// Acts only on batches with a reading of this meter.
    #[must_use]
    pub fn containing_meter(self, meter: &str) -> Self {
        Self {
            contains: Some(ReadingPattern {
                meter: Some(meter.to_owned()),
                ..Default::default()
            }),
            ..self
        }
    }

    /// Acts only after the request was processed and committed.
    #[must_use]
    pub fn after_commit(self) -> Self {
        Self {
            commit: true,
            ..self
        }
    }

    fn applies_to(&self, path: FaultPath, batch: Option<&[Reading]>) -> bool {
        let readings = batch.unwrap_or_default();
        (self.path == FaultPath::Any || self.path == path)
            && self.larger_than.is_none_or(|limit| readings.len() > limit)
            && self
                .contains
                .as_ref()
                .is_none_or(|pattern| readings.iter().any(|reading| pattern.matches(reading)))
    }

    fn matching_rows(&self, batch: Option<&[Reading]>) -> Vec<usize> {
        let readings = batch.unwrap_or_default();
        let is_meant = |row: &usize| {
            self.contains
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&readings[*row]))
        };
        (0..readings.len()).filter(is_meant).collect()
    }
}

/// What the script has in store for one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Milliseconds to wait before the request is processed.
    pub delay_before: u64,
    /// Milliseconds to wait between the commit and the answer.
    pub delay_after: u64,
    /// The fault itself, if any.
    pub fault: Option<PlannedFault>,
}

/// A fault that is due now.
#[derive(Clone, Debug)]
pub(super) struct PlannedFault {
    pub action: FaultAction,
    /// Whether the request is processed first.
    pub commit: bool,
    /// Indexes of the readings that the rule's pattern means.
    pub rows: Vec<usize>,
}

/// The rules with their counts.
#[derive(Debug, Default)]
pub(super) struct FaultScript(Vec<(FaultRule, Counts)>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    seen: u64,
    used: u64,
}

impl FaultScript {
    pub fn new(rules: Vec<FaultRule>) -> Self {
        Self(
            rules
                .into_iter()
                .map(|rule| (rule, Counts::default()))
                .collect(),
        )
    }

    pub fn add(&mut self, rule: FaultRule) {
        self.0.push((rule, Counts::default()));
    }

    /// The rules as they were given, each with the number of times that it has acted.
    pub fn rules(&self) -> Vec<(FaultRule, u64)> {
        self.0
            .iter()
            .map(|(rule, counts)| (rule.clone(), counts.used))
            .collect()
    }

    /// Counts this request on every rule that it reaches, and says what is to happen to it.
    pub fn plan(&mut self, path: FaultPath, batch: Option<&[Reading]>) -> Plan {
        let mut plan = Plan::default();
        for (rule, counts) in &mut self.0 {
            if !rule.applies_to(path, batch) || !counts.is_due(rule) {
                continue;
            }
            match &rule.action {
                FaultAction::Delay { milliseconds } if rule.commit => {
                    plan.delay_after += milliseconds
                }
                FaultAction::Delay { milliseconds } => plan.delay_before += milliseconds,
                action => {
                    let rows = rule.matching_rows(batch);
                    plan.fault = Some(PlannedFault {
                        action: action.clone(),
                        commit: rule.commit,
                        rows,
                    });
                    break;
                }
            }
        }
        plan
    }
}

impl Counts {
    fn is_due(&mut self, rule: &FaultRule) -> bool {
        self.seen += 1;
        let due = self.seen > rule.skip && rule.times.is_none_or(|times| self.used < times);
        self.used += u64::from(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_then_acts_so_many_times() {
        let rule = FaultRule::on(FaultPath::Health, FaultAction::Reset)
            .skip(1)
            .times(2);
        let mut script = FaultScript::new(vec![rule]);
        let mut acts = |path| script.plan(path, None).fault.is_some();
        assert!(!acts(FaultPath::Auth));
        let acted: Vec<bool> = (0..4).map(|_| acts(FaultPath::Health)).collect();
        assert_eq!(acted, [false, true, true, false]);
    }

    #[test]
    fn delays_add_up_with_the_fault_that_follows() {
        let mut script = FaultScript::new(vec![
            FaultRule::on(FaultPath::Any, FaultAction::Delay { milliseconds: 5 }),
            FaultRule::on(FaultPath::Any, FaultAction::Delay { milliseconds: 7 }).after_commit(),
            FaultRule::on(FaultPath::Any, FaultAction::Close),
        ]);
        let plan = script.plan(FaultPath::Config, None);
        assert_eq!((plan.delay_before, plan.delay_after), (5, 7));
        assert_eq!(
            plan.fault.map(|fault| fault.action),
            Some(FaultAction::Close)
        );
    }

    #[test]
    fn rules_are_written_in_plain_json() {
        let text = r#"[
            {"path": "batch", "times": 2, "commit": true, "action": "reset"},
            {"action": {"answer": {"status": 503, "headers": [["Retry-After", "7"]]}}},
            {"path": "batch", "contains": {"meter": "M1"}, "action": {"refuse": {"naming": "nothing"}}},
            {"path": "batch", "larger_than": 10, "action": {"partial": {"rows": [3], "rollback": "savepoint"}}}
        ]"#;
        let rules: Vec<FaultRule> = serde_json::from_str(text).expect("the rules are valid");
        assert_eq!(
            rules[0],
            FaultRule::on(FaultPath::Batch, FaultAction::Reset)
                .times(2)
                .after_commit()
        );
        assert_eq!(
            rules[2].action,
            FaultAction::Refuse {
                naming: Naming::Nothing
            }
        );
        let again = serde_json::to_string(&rules).expect("rules can be written");
        assert_eq!(
            serde_json::from_str::<Vec<FaultRule>>(&again).expect("and read again"),
            rules
        );
    }
}
