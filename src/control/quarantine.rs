//! Looking at quarantined readings, correcting, re-queueing and discarding them.

use super::{Control, ControlError, ingestion};
use crate::{
    domain::{
        quarantine::{
            QuarantineCorrection, QuarantineFilter, QuarantineReason, QuarantinedReading,
        },
        store::{Page, QuarantineActionResult, Window},
        words,
    },
    messages::database_writer::{CorrectQuarantined, DiscardQuarantined, RequeueQuarantined},
};

/// Which quarantined readings an action over many means. Everything is only meant when that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(QuarantineFilter);

impl Selection {
    /// By reason or meter, or by both, or `all`.
    ///
    /// # Errors
    /// When neither is given, or when `all` contradicts the others.
    pub fn new(
        reason: Option<QuarantineReason>,
        meter: Option<String>,
        all: bool,
    ) -> Result<Self, ControlError> {
        let narrowed = reason.is_some() || meter.is_some();
        match (narrowed, all) {
            (false, false) => Err(ControlError::Invalid(
                "the request does not say which quarantined readings are meant, so nothing was done; give reason, meter or both, or all=true for all of them".to_owned(),
            )),
            (true, true) => Err(ControlError::Invalid(
                "all=true contradicts reason and meter, so nothing was done; leave one of them out".to_owned(),
            )),
            _ => Ok(Self(QuarantineFilter { id: None, reason, meter })),
        }
    }
}

/// Which quarantined readings an action means, where one request may name a single one or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The entry with this id.
    Entry(i64),
    /// All that are selected.
    Many(Selection),
}

impl Target {
    /// By id, or as [`Selection::new`].
    ///
    /// # Errors
    /// When nothing is given, or when what is given contradicts itself.
    pub fn new(
        id: Option<i64>,
        reason: Option<QuarantineReason>,
        meter: Option<String>,
        all: bool,
    ) -> Result<Self, ControlError> {
        let Some(id) = id else {
            return Selection::new(reason, meter, all).map(Self::Many);
        };
        if reason.is_some() || meter.is_some() || all {
            return Err(ControlError::Invalid(
                "id names one quarantined reading, which contradicts reason, meter and all, so nothing was done; leave one of them out".to_owned(),
            ));
        }
        Ok(Self::Entry(id))
    }
}

impl Control {
    /// Quarantined readings, newest first; all of them where the filter is empty.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn quarantined(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, ControlError> {
        self.read(self.parts.store.quarantine(filter, window)).await
    }

    /// One quarantined reading.
    ///
    /// # Errors
    /// When there is none with this id, or the Sync Database does not answer.
    pub async fn quarantined_entry(&self, id: i64) -> Result<QuarantinedReading, ControlError> {
        let window = Window {
            limit: 1,
            offset: 0,
        };
        self.quarantined(&only(id), window)
            .await?
            .items
            .pop()
            .ok_or_else(|| no_entry(id))
    }

    /// Returns one reading to the queue.
    ///
    /// # Errors
    /// When there is none with this id, when it may be stored already and `accept_double` is not given, when it
    /// still cannot be sent, or when the database writer cannot do it.
    pub async fn requeue_entry(
        &self,
        id: i64,
        accept_double: bool,
    ) -> Result<QuarantineActionResult, ControlError> {
        let result = self.requeue_by(only(id), accept_double).await?;
        if result.affected > 0 {
            Ok(result)
        } else if result.possibly_stored > 0 {
            Err(ControlError::PossiblyStored)
        } else if result.unreadable > 0 {
            Err(ControlError::Unreadable(
                result.first_problem.unwrap_or_default(),
            ))
        } else {
            Err(no_entry(id))
        }
    }

    /// Returns readings to the queue; those that must not or cannot be sent are passed over and counted.
    ///
    /// # Errors
    /// When the database writer cannot do it.
    pub async fn requeue(
        &self,
        selection: Selection,
        accept_double: bool,
    ) -> Result<QuarantineActionResult, ControlError> {
        self.requeue_by(selection.0, accept_double).await
    }

    /// Removes one reading for good.
    ///
    /// # Errors
    /// When there is none with this id, or the database writer cannot do it.
    pub async fn discard_entry(&self, id: i64) -> Result<QuarantineActionResult, ControlError> {
        let result = self.discard_by(only(id)).await?;
        if result.affected == 0 {
            return Err(no_entry(id));
        }
        Ok(result)
    }

    /// Removes readings for good.
    ///
    /// # Errors
    /// When the database writer cannot do it.
    pub async fn discard(
        &self,
        selection: Selection,
    ) -> Result<QuarantineActionResult, ControlError> {
        self.discard_by(selection.0).await
    }

    /// Changes fields of a quarantined reading, as a JSON object says, and answers with the whole entry.
    ///
    /// # Errors
    /// When there is none with this id, a field makes no sense, or the database writer cannot do it.
    pub async fn correct_entry(
        &self,
        id: i64,
        body: &[u8],
    ) -> Result<QuarantinedReading, ControlError> {
        let correction = parse_correction(body)?;
        let apart = self.parts.store.nanoseconds_apart();
        let unkept = correction
            .timestamp
            .and_then(|time| ingestion::kept_time_problem(time, apart));
        if let Some(problem) = unkept {
            return Err(invalid_correction(&problem));
        }
        let message = CorrectQuarantined { id, correction };
        let found = self
            .ask(
                &self.parts.correct_quarantined,
                message,
                self.parts.patience.short,
            )
            .await??;
        if found {
            self.quarantined_entry(id).await
        } else {
            Err(no_entry(id))
        }
    }

    async fn requeue_by(
        &self,
        filter: QuarantineFilter,
        accept_double: bool,
    ) -> Result<QuarantineActionResult, ControlError> {
        let message = RequeueQuarantined {
            filter,
            accept_double,
        };
        Ok(self
            .ask(
                &self.parts.requeue_quarantined,
                message,
                self.parts.patience.database,
            )
            .await??)
    }

    async fn discard_by(
        &self,
        filter: QuarantineFilter,
    ) -> Result<QuarantineActionResult, ControlError> {
        Ok(self
            .ask(
                &self.parts.discard_quarantined,
                DiscardQuarantined { filter },
                self.parts.patience.database,
            )
            .await??)
    }
}

fn only(id: i64) -> QuarantineFilter {
    QuarantineFilter {
        id: Some(id),
        ..QuarantineFilter::default()
    }
}

fn no_entry(id: i64) -> ControlError {
    ControlError::NotFound(format!(
        "no quarantined reading has the id {id}; it may have been re-queued or discarded meanwhile, GET /api/v1/quarantine lists those that are there"
    ))
}

fn invalid_correction(reason: &dyn std::fmt::Display) -> ControlError {
    let reason = words::cut(&reason.to_string(), ingestion::LONGEST_REASON);
    ControlError::Invalid(format!(
        "the correction is not valid, so nothing was changed: {reason}; send a JSON object with the fields to change"
    ))
}

fn parse_correction(body: &[u8]) -> Result<QuarantineCorrection, ControlError> {
    // Serde would take an array of the values in the fields' order as well.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(invalid_correction(&"a JSON object is expected"));
    }
    let correction: QuarantineCorrection =
        serde_json::from_slice(body).map_err(|error| invalid_correction(&error))?;
    if correction == QuarantineCorrection::default() {
        return Err(invalid_correction(&"it names no field"));
    }
    match ingestion::correction_problem(&correction) {
        Some(problem) => Err(invalid_correction(&problem)),
        None => Ok(correction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_only_meant_when_that_is_said() {
        assert!(Selection::new(None, None, false).is_err());
        assert!(Selection::new(None, Some("M-1".into()), true).is_err());
        assert!(Selection::new(None, None, true).is_ok());
        assert!(Selection::new(Some(QuarantineReason::Refused), None, false).is_ok());
    }

    #[test]
    fn one_entry_is_meant_by_its_id_alone() {
        assert_eq!(
            Target::new(Some(7), None, None, false).ok(),
            Some(Target::Entry(7))
        );
        assert!(Target::new(Some(7), None, None, true).is_err());
        assert!(Target::new(Some(7), None, Some("M-1".into()), false).is_err());
        assert!(Target::new(None, None, None, false).is_err());
        assert!(Target::new(None, None, None, true).is_ok());
    }

    #[test]
    fn corrections_are_judged_like_new_readings() {
        let correction = parse_correction(br#"{"value":12.340,"unit":null}"#).expect("valid");
        assert_eq!(correction.value.as_deref(), Some("12.340"));
        assert_eq!(correction.unit, Some(None));
        for body in [
            r#"{}"#,
            r#"["M-1",null,null,1,null]"#,
            r#"{"value":"12"}"#,
            r#"{"value":1e15}"#,
            r#"{"data_point":""}"#,
            r#"{"meter_external_id":"a\u0000"}"#,
            r#"{"timestamp":"2026-01-01T00:00:00"}"#,
            r#"{"timestamp":"1926-01-01T00:00:00Z"}"#,
            r#"{"colour":"red"}"#,
            r#"{"value":1,"value":2}"#,
            r#"{"meter_external_id":null,"value":1}"#,
            r#"{"timestamp":null,"value":1}"#,
        ] {
            assert!(parse_correction(body.as_bytes()).is_err(), "{body}");
        }
    }
}
