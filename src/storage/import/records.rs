//! What both databases remember of an import, and what follows from it.

use serde::{Deserialize, Serialize};

use super::{ImportError, chunk::ChunkRows};
use crate::domain::import::ImportAccount;

/// What the old database remembers, changed together with its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storage) struct SourceRecord {
    /// The identity of this queue, and of every copy of its file.
    pub(in crate::storage) source: String,
    /// The identity of the database that it is being moved into; none between imports.
    pub(in crate::storage) target: Option<String>,
    /// The run that is under way or was the last: tells a file from a copy whose import went on.
    pub(in crate::storage) run: String,
    /// How many chunks have left.
    pub(in crate::storage) step: i64,
    /// How many had left when the import into `target` began.
    pub(in crate::storage) began: i64,
}

/// What the new database remembers, changed together with its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct TargetRecord {
    /// The run that brought the last chunk.
    pub(in crate::storage) run: String,
    /// How many chunks had come, by the source's count.
    pub(in crate::storage) step: i64,
    /// What the last one holds: perhaps still in the source as well.
    pub(in crate::storage) rows: ChunkRows,
    /// What has come in all.
    pub(in crate::storage) account: ImportAccount,
}

/// What has to happen before the next chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resumption {
    /// Both agree.
    GoOn,
    /// The last chunk is in the new database, and was not seen leaving the old one.
    Finish(ChunkRows),
}

/// Compares what both sides remember.
///
/// # Errors
/// Where they do not fit together: one of them is a copy, or was restored from a backup.
pub(super) fn compare(
    source: &SourceRecord,
    target: Option<&TargetRecord>,
    target_identity: &str,
) -> Result<Resumption, ImportError> {
    if source
        .target
        .as_deref()
        .is_some_and(|known| known != target_identity)
    {
        return Err(ImportError::Refused(
            "its import into another database has begun and not ended, and readings may be in both; run that import to its end first. \
             Where that database is gone for good, make the file forget it: \
             sqlite3 FILE \"DELETE FROM service_facts WHERE name = 'import'\""
                .to_owned(),
        ));
    }
    // With this database, in this import.
    let has_moved = source.target.is_some() && source.step > source.began;
    match target {
        None if has_moved => Err(restored(source.step, 0)),
        None => Ok(Resumption::GoOn),
        Some(target) if target.step == source.step => Ok(Resumption::GoOn),
        Some(target)
            if target.step == source.step + 1
                && target.run == source.run
                && source.target.is_some() =>
        {
            Ok(Resumption::Finish(target.rows.clone()))
        }
        Some(target) if target.step > source.step => Err(ImportError::Refused(
            "the import of another copy of this file has gone further, so what lies in this one is there already, or was uploaded; \
             importing it would double readings. Take the file that was imported before. Readings that only this one holds \
             have to be moved by hand"
                .to_owned(),
        )),
        Some(target) if has_moved => Err(restored(source.step, target.step)),
        // It has been imported into other databases in between.
        Some(_) => Ok(Resumption::GoOn),
    }
}

fn restored(moved: i64, there: i64) -> ImportError {
    ImportError::Refused(format!(
        "{moved} pieces of it were moved into that database, which knows of {there} only: it was restored from a backup, or emptied. \
         Restore its latest state. Where that is lost, and the readings with it, the rest can be imported once the file forgets \
         the import: sqlite3 FILE \"DELETE FROM service_facts WHERE name = 'import'\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(target: Option<&str>, run: &str, step: i64, began: i64) -> SourceRecord {
        SourceRecord {
            source: "S".to_owned(),
            target: target.map(str::to_owned),
            run: run.to_owned(),
            step,
            began,
        }
    }

    fn target(run: &str, step: i64) -> TargetRecord {
        TargetRecord {
            run: run.to_owned(),
            step,
            rows: ChunkRows::Readings("1-7".to_owned()),
            account: ImportAccount::default(),
        }
    }

    fn outcome(source: &SourceRecord, target: Option<&TargetRecord>) -> &'static str {
        match compare(source, target, "T") {
            Ok(Resumption::GoOn) => "go on",
            Ok(Resumption::Finish(_)) => "finish",
            Err(ImportError::Refused(words)) if words.contains("another copy") => "copy",
            Err(ImportError::Refused(words)) if words.contains("backup") => "restored",
            Err(_) => "elsewhere",
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let here = Some("T");
        for (source, target, expected) in [
            (source(here, "R", 0, 0), None, "go on"),
            (source(here, "R", 4, 0), Some(target("R", 4)), "go on"),
            (source(here, "R", 4, 0), Some(target("R", 5)), "finish"),
            (source(here, "R", 0, 0), Some(target("R", 1)), "finish"),
            // A copy was imported by a run of its own.
            (source(here, "R", 4, 0), Some(target("X", 5)), "copy"),
            (source(here, "R", 4, 0), Some(target("R", 6)), "copy"),
            (source(None, "R", 4, 0), Some(target("R", 5)), "copy"),
            // The new database lost what it had.
            (source(here, "R", 4, 0), Some(target("R", 3)), "restored"),
            (source(here, "R", 4, 0), None, "restored"),
            // Into one database after the other.
            (source(Some("U"), "R", 4, 0), None, "elsewhere"),
            (source(None, "R", 4, 0), None, "go on"),
            (source(here, "R", 4, 4), None, "go on"),
            (source(None, "R", 4, 0), Some(target("Q", 2)), "go on"),
            (source(here, "R", 4, 4), Some(target("Q", 2)), "go on"),
            (source(here, "R", 4, 4), Some(target("R", 5)), "finish"),
        ] {
            assert_eq!(
                outcome(&source, target.as_ref()),
                expected,
                "{source:?} {target:?}"
            );
        }
    }
}
