//! The ledger outside of the service: every reading that was accepted, and where each of them has to be in the end.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};

use super::{Failure, SoakArguments, report::Account};
use crate::demo::{
    client_system::{
        ClientSystemHandle, FaultAction, FaultPath, FaultRule, Naming, ReadingPattern,
    },
    meters::{MeterReading, MeterWriter, MeteredSite, Readings},
};

const METERS: u32 = 50;
/// A data point that the Client System refuses without naming a reading.
const REFUSED: &str = "refused";

/// Writes readings and knows what has to become of them.
pub(super) struct Oracle {
    readings: Judged,
    writer: MeterWriter,
}

/// The readings of a site, some of them invalid; the same for the same seed.
#[derive(Clone)]
struct Judged {
    seed: u64,
    /// One reading in so many is invalid; 0 for none.
    invalid_one_in: u64,
    readings: Readings,
    index: u64,
}

impl Iterator for Judged {
    /// The reading, and whether it is valid.
    type Item = (MeterReading, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reading = self.readings.next()?;
        let index = self.index;
        self.index += 1;
        let Some(block) = index.checked_div(self.invalid_one_in) else {
            return Some((reading, true));
        };
        let odd = (self.seed ^ block).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        if index % self.invalid_one_in != odd % self.invalid_one_in {
            return Some((reading, true));
        }
        match block % 3 {
            // The server names what it does not like,
            0 => reading.meter = String::new(),
            // or does not,
            1 => reading.data_point = REFUSED,
            // or is never asked.
            _ => reading.is_broken = true,
        }
        Some((reading, false))
    }
}

impl Oracle {
    pub(super) fn new(arguments: &SoakArguments, end: DateTime<Utc>, writer: MeterWriter) -> Self {
        let (seed, readings) = (arguments.seed, arguments.readings);
        let site = MeteredSite::with_backlog(seed, METERS, Duration::from_secs(60), end, readings);
        Self {
            readings: Judged {
                seed,
                invalid_one_in: arguments.invalid_one_in,
                readings: site.readings(),
                index: 0,
            },
            writer,
        }
    }

    /// What the Client System must refuse for the oracle to be right.
    pub(super) fn rules() -> Vec<FaultRule> {
        let refuse = FaultAction::Refuse {
            naming: Naming::Nothing,
        };
        vec![FaultRule {
            contains: Some(ReadingPattern {
                data_point: Some(REFUSED.to_owned()),
                ..ReadingPattern::default()
            }),
            ..FaultRule::on(FaultPath::Batch, refuse)
        }]
    }

    /// Fails unless the Sync Database is empty: the oracle could not tell its readings from others.
    pub(super) async fn check_empty(&mut self) -> Result<(), Failure> {
        if self.writer.left_behind().await? == (0, 0) {
            return Ok(());
        }
        Err("the database holds readings already, and nobody should attack those; give the soak a database of its own".into())
    }

    /// Commits so many more readings.
    pub(super) async fn write(&mut self, readings: u64) -> Result<(), Failure> {
        let mut ahead = self.readings.clone();
        let rows: Vec<MeterReading> = ahead
            .by_ref()
            .take(usize::try_from(readings)?)
            .map(|(reading, _)| reading)
            .collect();
        self.writer.insert(&rows).await?;
        self.readings = ahead;
        Ok(())
    }

    /// Whether nothing waits and no batch is open.
    pub(super) async fn is_drained(&mut self) -> Result<bool, Failure> {
        Ok(self.writer.left_behind().await?.0 == 0 && self.writer.open_batches().await? == 0)
    }

    /// Looks for every reading that was committed: in the Client System, in the quarantine, in the queue.
    pub(super) async fn settle(
        &mut self,
        client_system: &ClientSystemHandle,
        first: Readings,
    ) -> Result<Account, Failure> {
        let quarantined: BTreeSet<i64> = self.writer.quarantined_ids().await?.into_iter().collect();
        let mut account = Account {
            written: self.writer.committed(),
            queued: self.writer.left_behind().await?.0,
            ledger: client_system.ledger(),
            ..Account::default()
        };
        let all = Judged {
            readings: first,
            index: 0,
            ..self.readings.clone()
        };
        for (id, (reading, is_valid)) in (1..).zip(all.take(usize::try_from(account.written)?)) {
            let is_quarantined = quarantined.contains(&id);
            let has_arrived = arrived(client_system, &reading);
            account.quarantined += u64::from(is_quarantined);
            if is_valid {
                account.delivered += u64::from(has_arrived);
                account.nowhere += u64::from(!has_arrived);
                account.misjudged += u64::from(is_quarantined);
            } else {
                account.invalid += 1;
                account.misjudged += u64::from(!is_quarantined || has_arrived);
            }
        }
        account.misjudged += quarantined.len() as u64 - account.quarantined;
        Ok(account)
    }

    /// All readings from the first one on.
    pub(super) fn first_to_last(&self) -> Readings {
        self.readings.readings.clone()
    }
}

/// The value's digits may have come through columns that keep three places, or through such that keep what is needed.
fn arrived(client_system: &ClientSystemHandle, reading: &MeterReading) -> bool {
    let shortest = reading.value();
    let places = shortest
        .split_once('.')
        .map_or(0, |(_, places)| places.len());
    let point = if places == 0 { "." } else { "" };
    let padded = |zeros: usize| format!("{shortest}{point}{}", "0".repeat(zeros));
    let mut forms = vec![shortest.clone(), padded(3 - places.min(3))];
    if places == 0 {
        forms.push(padded(1));
    }
    forms.iter().any(|value| {
        client_system.times_stored(&reading.meter, reading.timestamp, reading.data_point, value) > 0
    })
}
