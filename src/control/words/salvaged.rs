//! What is said of a Sync Database that was damaged, and of what was lost with it.

use crate::domain::{store::Salvage, words::counted};

/// Those before it are told shortly.
const EARLIER: usize = 3;

/// `earlier` are those before it.
pub(in crate::control) fn salvaged(salvage: &Salvage, earlier: &[Salvage]) -> String {
    format!(
        "The Sync Database was damaged and lies now in {}; a new one holds the {} that could be read of it; {}. {}{} Look at the disk; restart those programs; remove {}, with its -wal and -shm, to end this message.",
        salvage.set_aside,
        counted(salvage.readings, "reading", "readings"),
        losses(salvage),
        if salvage.later_is_unreadable {
            "What other programs may have written into the damaged one since then cannot be read by this service and stays there: restart them at once."
        } else {
            "What other programs still write into the damaged one is taken over as it comes."
        },
        salvaged_before(earlier),
        if earlier.is_empty() {
            "that file"
        } else {
            "each such file"
        }
    )
}

fn salvaged_before(earlier: &[Salvage]) -> String {
    let mut told: Vec<String> = earlier
        .iter()
        .take(EARLIER)
        .map(|salvage| {
            format!(
                " It had been damaged before, on {}, and that one lies in {}: {}{}.",
                salvage.at,
                salvage.set_aside,
                losses(salvage),
                if salvage.later_is_unreadable {
                    "; what other programs may have written into it since then stays there: restart them at once"
                } else {
                    ""
                }
            )
        })
        .collect();
    if earlier.len() > EARLIER {
        told.push(format!(
            " earlier_salvages tells of {} more.",
            earlier.len() - EARLIER
        ));
    }
    told.concat()
}

fn losses(salvage: &Salvage) -> String {
    let mut told = vec![match salvage.lost_at_most {
        Some(0) => "no reading was lost".to_owned(),
        Some(count) => format!(
            "{} could not be read, of which some may have been uploaded before",
            counted(count, "reading at most", "readings at most")
        ),
        None => {
            "how many readings were lost cannot be told: nobody can tell how many could not be read"
                .to_owned()
        }
    }];
    if salvage.quarantined > 0 {
        told.push(format!(
            "{} in quarantine, for nobody can tell whether they had been uploaded (GET /api/v1/quarantine)",
            counted(salvage.quarantined, "reading is", "readings are")
        ));
    }
    match salvage.quarantine_lost_at_most {
        Some(0) => {}
        Some(count) => told.push(format!(
            "{} that had been in quarantine could not be read",
            counted(count, "reading at most", "readings at most")
        )),
        None => told.push("nobody can tell how many readings had been in quarantine".to_owned()),
    }
    match salvage.batches_lost_at_most {
        Some(0) => {}
        Some(count) => told.push(format!(
            "of {} the key was lost, so that their readings may arrive twice",
            counted(
                count,
                "batch on its way at most",
                "batches on their way at most"
            )
        )),
        None => told.push("what was on its way may arrive twice".to_owned()),
    }
    if !salvage.also_lost.is_empty() {
        told.push(format!(
            "not all could be read of {}",
            salvage.also_lost.join(", ")
        ));
    }
    told.join("; ")
}
