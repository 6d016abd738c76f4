//! The account at the end of a demonstration.

use std::fmt;

/// What became of every reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Readings that the meters committed to the Sync Database.
    pub(super) generated: u64,
    /// Different readings that the Client System stored.
    pub(super) delivered: u64,
    /// Readings that still wait in the Sync Database.
    pub(super) queued: u64,
    /// Readings in quarantine.
    pub(super) quarantined: u64,
    /// Readings that the Client System stored twice, repetitions under the same key left out.
    pub(super) duplicates: u64,
}

impl Account {
    /// Readings that are nowhere. A reading that is both stored and still queued is not lost, but repeated
    /// under its old key by the next start, so the sum may exceed what was generated.
    pub(super) fn lost(&self) -> u64 {
        self.generated
            .saturating_sub(self.delivered + self.queued + self.quarantined)
    }

    /// Whether every reading is in exactly one place.
    pub(super) fn is_good(&self) -> bool {
        self.duplicates == 0 && self.generated == self.delivered + self.queued + self.quarantined
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_good() {
            "every reading is in exactly one place"
        } else {
            "THE ACCOUNT DOES NOT BALANCE"
        };
        writeln!(
            formatter,
            "\nSummary, counted by the meters and by the Client System: {verdict}"
        )?;
        let Self {
            generated,
            delivered,
            queued,
            quarantined,
            duplicates,
        } = self;
        writeln!(
            formatter,
            "generated={generated} delivered={delivered} queued={queued} quarantined={quarantined} duplicates={duplicates} lost={}",
            self.lost()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_balanced_account_is_good() {
        let good = Account {
            generated: 10,
            delivered: 7,
            queued: 2,
            quarantined: 1,
            duplicates: 0,
        };
        assert!(good.is_good());
        assert_eq!(good.lost(), 0);
        let lost = Account { queued: 1, ..good };
        assert!(!lost.is_good());
        assert_eq!(lost.lost(), 1);
        assert!(
            !Account {
                duplicates: 1,
                ..good
            }
            .is_good()
        );
        assert!(
            !Account {
                delivered: 8,
                ..good
            }
            .is_good()
        );
    }
}
