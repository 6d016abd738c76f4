//! What a soak found, as a table.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::resources::Resources;
use crate::demo::{
    client_system::LedgerSummary,
    fault_proxy::{Harm, Stage},
};

/// Where every reading ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// Readings that were committed to the Sync Database.
    pub(super) written: u64,
    /// Those of them that the Client System has to refuse, or that cannot be sent at all.
    pub(super) invalid: u64,
    /// Valid readings that the Client System has.
    pub(super) delivered: u64,
    /// Valid readings that the Client System does not have.
    pub(super) nowhere: u64,
    /// Readings in quarantine.
    pub(super) quarantined: u64,
    /// Valid readings in quarantine, and invalid ones elsewhere.
    pub(super) misjudged: u64,
    /// Readings that still wait.
    pub(super) queued: u64,
    /// What the Client System counted.
    pub(super) ledger: LedgerSummary,
}

/// What was done to the service, and what became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) cuts: BTreeMap<(Stage, Harm), u64>,
    pub(super) kills: u64,
    pub(super) panics: u64,
    pub(super) account: Account,
    /// Of the last process: after its first minute, and at the end.
    pub(super) resources: Option<(Resources, Resources)>,
    /// The most memory that the last process ever had, in KiB.
    pub(super) peak: u64,
    pub(super) took: Duration,
}

impl Account {
    /// Readings that are nowhere at all, or in the Client System though nobody wrote them.
    fn lost(&self) -> u64 {
        self.nowhere.saturating_sub(self.queued)
    }

    fn strangers(&self) -> u64 {
        self.ledger.distinct_readings.saturating_sub(self.delivered)
    }

    /// Two sendings of one key may be open only where the sender of the first was killed, whose request was still on
    /// its way.
    fn is_good(&self, kills: u64) -> bool {
        let Self {
            nowhere,
            misjudged,
            queued,
            ledger,
            ..
        } = self;
        let faults = nowhere
            + misjudged
            + queued
            + self.strangers()
            + ledger.duplicates_after_key
            + ledger.keys_with_differing_bodies
            + ledger.batches_without_key;
        faults == 0 && ledger.most_open_per_key <= if kills > 0 { 2 } else { 1 }
    }
}

impl Report {
    /// Whether the service kept its promises, and leaked nothing as far as that can be told.
    pub(super) fn is_good(&self) -> bool {
        let leaks = self
            .resources
            .is_some_and(|(before, after)| !after.equals(&before));
        self.account.is_good(self.kills) && !leaks
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_cuts(formatter)?;
        let (account, ledger) = (&self.account, &self.account.ledger);
        let all_cuts: u64 = self.cuts.values().sum();
        let rows = [
            ("cuts", all_cuts),
            ("kill -9", self.kills),
            ("panics of actors", self.panics),
            ("readings written", account.written),
            ("of these invalid", account.invalid),
            ("delivered", account.delivered),
            ("quarantined", account.quarantined),
            ("wrongly in quarantine, or wrongly not", account.misjudged),
            ("still queued", account.queued),
            ("lost", account.lost()),
            ("delivered though never written", account.strangers()),
            ("uploads", ledger.batches_received),
            (
                "stored again under the same key",
                ledger.raw_duplicates - ledger.duplicates_after_key,
            ),
            (
                "doubled after de-duplication by key",
                ledger.duplicates_after_key,
            ),
            (
                "keys with differing bodies",
                ledger.keys_with_differing_bodies,
            ),
            (
                "sendings of one key at the same time",
                ledger.most_open_per_key as u64,
            ),
            ("peak memory of the last process in KiB", self.peak),
            ("seconds", self.took.as_secs()),
        ];
        writeln!(formatter, "\n| what | number |\n| --- | ---: |")?;
        for (what, number) in rows {
            writeln!(formatter, "| {what} | {number} |")?;
        }
        self.write_resources(formatter)?;
        let verdict = if self.is_good() {
            "every reading is where it belongs, once"
        } else {
            "THE SERVICE BROKE A PROMISE"
        };
        writeln!(formatter, "\n{verdict}")?;
        writeln!(
            formatter,
            "written={} delivered={} quarantined={} queued={} lost={} doubled={}",
            account.written,
            account.delivered,
            account.quarantined,
            account.queued,
            account.lost(),
            ledger.duplicates_after_key
        )
    }
}

impl Report {
    fn write_cuts(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = self.cuts.keys().map(|(stage, _)| *stage);
        let stages: std::collections::BTreeSet<Stage> = stages.collect();
        let harms = self.cuts.keys().map(|(_, harm)| *harm);
        let harms: std::collections::BTreeSet<Harm> = harms.collect();
        write!(formatter, "\n| cuts |")?;
        for harm in &harms {
            write!(formatter, " {harm} |")?;
        }
        writeln!(formatter, "\n| --- |{}", " ---: |".repeat(harms.len()))?;
        for stage in stages {
            write!(formatter, "| {stage} |")?;
            for harm in &harms {
                let number = self.cuts.get(&(stage, *harm));
                write!(formatter, " {} |", number.copied().unwrap_or(0))?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }

    fn write_resources(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((before, after)) = self.resources else {
            return writeln!(
                formatter,
                "\nThe last process lived too short to tell whether it leaks."
            );
        };
        writeln!(
            formatter,
            "\n| the last process | after a minute | at the end |\n| --- | ---: | ---: |"
        )?;
        let rows = [
            ("resident memory in KiB", before.resident, after.resident),
            ("file descriptors", before.descriptors, after.descriptors),
            ("sockets", before.sockets, after.sockets),
        ];
        for (what, before, after) in rows {
            writeln!(formatter, "| {what} | {before} | {after} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Account {
        Account {
            written: 10,
            invalid: 1,
            delivered: 9,
            quarantined: 1,
            ledger: LedgerSummary {
                distinct_readings: 9,
                readings_stored: 12,
                raw_duplicates: 3,
                most_open_per_key: 1,
                ..LedgerSummary::default()
            },
            ..Account::default()
        }
    }

    #[test]
    fn repetitions_under_a_key_are_no_fault() {
        assert!(good().is_good(0));
    }

    #[test]
    fn every_broken_promise_is_seen() {
        let ledger = good().ledger;
        let with = |change: fn(&mut LedgerSummary)| {
            let mut ledger = ledger.clone();
            change(&mut ledger);
            Account { ledger, ..good() }
        };
        let broken = [
            Account {
                delivered: 8,
                nowhere: 1,
                ..good()
            },
            Account {
                misjudged: 1,
                ..good()
            },
            Account {
                queued: 1,
                ..good()
            },
            with(|ledger| ledger.distinct_readings = 10),
            with(|ledger| ledger.duplicates_after_key = 1),
            with(|ledger| ledger.keys_with_differing_bodies = 1),
            with(|ledger| ledger.batches_without_key = 1),
            with(|ledger| ledger.most_open_per_key = 2),
        ];
        for account in broken {
            assert!(!account.is_good(0), "{account:?}");
        }
    }
}
