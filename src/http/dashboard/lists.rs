//! What the Sync Database and the settings hold: meters, quarantine, effective configuration.

use maud::{Markup, html};

use super::{
    view::View,
    words::{ago, clock, count, counted},
};
use crate::{
    control::ControlError,
    domain::{
        meter::Meter,
        quarantine::{QuarantineReason, QuarantinedReading},
        store::Page,
        timestamp::Timestamp,
    },
};

/// Entries of a list that are shown at once.
pub(super) const SHOWN: u32 = 10;

/// What could not be read, in the words that everybody gets.
fn trouble(error: &ControlError) -> Markup {
    html! { p .trouble { (error) } }
}

/// The active meters; those that have been silent for longest come first.
pub(super) fn meters(
    meters: Result<Vec<Meter>, ControlError>,
    view: &View,
    now: Timestamp,
) -> Markup {
    html! {
        div #meters-list data-part {
            @match meters {
                Ok(meters) => { (meters_table(meters, view, now)) }
                Err(error) => { (trouble(&error)) }
            }
        }
    }
}

fn meters_table(mut meters: Vec<Meter>, view: &View, now: Timestamp) -> Markup {
    meters.sort_by_key(|meter| meter.last_reading_at);
    let all = u64::try_from(meters.len()).unwrap_or(u64::MAX);
    let shown = meters
        .iter()
        .skip(usize::try_from(view.meters_from).unwrap_or(usize::MAX))
        .take(SHOWN as usize);
    html! {
        @if meters.is_empty() {
            p .empty { "No active meter is known yet: they come with the configuration." }
        } @else {
            div .scrolls tabindex="0" role="region" aria-label="Meters, table" {
                table {
                    caption .hidden { "Active meters, those silent for longest first" }
                    thead {
                        tr {
                            th scope="col" { "Meter" }
                            th scope="col" { "Id" }
                            th scope="col" { "Last reading" }
                        }
                    }
                    tbody { @for meter in shown { (one_meter(meter, now)) } }
                }
            }
            (pages("meters", view.meters_from, all, |meters_from| View { meters_from, ..*view }))
        }
    }
}

fn one_meter(meter: &Meter, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (meter.name) }
            td { code { (meter.external_id) } }
            td {
                @match meter.last_reading_at {
                    Some(at) => { (ago(at, now)) }
                    None => { "none yet" }
                }
            }
        }
    }
}

/// What was set aside, with what can be done about it where the viewer may do that.
pub(super) fn quarantine(
    entries: Result<Page<QuarantinedReading>, ControlError>,
    view: &View,
    may_decide: bool,
    now: Timestamp,
) -> Markup {
    html! {
        div #quarantine-list data-part {
            @match entries {
                Ok(page) => { (quarantine_table(&page, view, may_decide, now)) }
                Err(error) => { (trouble(&error)) }
            }
        }
    }
}

fn quarantine_table(
    page: &Page<QuarantinedReading>,
    view: &View,
    may_decide: bool,
    now: Timestamp,
) -> Markup {
    let all = u64::try_from(page.total).unwrap_or_default();
    html! {
        @if page.total == 0 {
            p .empty { "Nothing is set aside." }
        } @else {
            p .note {
                (counted(all, "reading is", "readings are"))
                " set aside and not uploaded until somebody decides: re-queue what is right by now, discard what never will be."
            }
            div .scrolls tabindex="0" role="region" aria-label="Quarantine, table" {
                table .cards role="table" {
                    caption .hidden { "Readings in quarantine, newest first" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "Reading" }
                            th role="columnheader" scope="col" .number { "Value" }
                            th role="columnheader" scope="col" { "Measured" }
                            th role="columnheader" scope="col" { "Why" }
                            th role="columnheader" scope="col" { "Set aside" }
                            @if may_decide { th role="columnheader" scope="col" .live-only { "Decide" } }
                        }
                    }
                    tbody role="rowgroup" { @for entry in &page.items { (one_entry(entry, may_decide, now)) } }
                }
            }
            (pages("quarantine", view.quarantine_from, all, |quarantine_from| View { quarantine_from, ..*view }))
        }
    }
}

fn one_entry(entry: &QuarantinedReading, may_decide: bool, now: Timestamp) -> Markup {
    let (tone, word) = match entry.reason {
        QuarantineReason::Refused => ("bad", "refused"),
        QuarantineReason::Unreadable => ("warn", "unreadable"),
        QuarantineReason::PossiblyStored => ("warn", "possibly stored"),
    };
    html! {
        tr role="row" {
            th role="rowheader" scope="row" {
                (entry.meter_external_id.as_deref().unwrap_or("no meter"))
                " " span .detail { (entry.data_point.as_deref().unwrap_or("no data point")) }
            }
            td role="cell" .number data-label="Value" {
                (entry.value.as_deref().unwrap_or("none"))
                @if let Some(unit) = &entry.unit { " " (unit) }
            }
            td role="cell" data-label="Measured" { (measured(entry)) }
            td role="cell" {
                span .badge data-tone=(tone) { (word) }
                " " span .detail {
                    @if let Some(status) = entry.status { "HTTP " (status) ": " }
                    (entry.message)
                }
            }
            td role="cell" data-label="Set aside" { (ago(entry.quarantined_at, now)) }
            @if may_decide { td role="cell" .live-only { (decisions(entry)) } }
        }
    }
}

fn measured(entry: &QuarantinedReading) -> Markup {
    let text = entry.timestamp.as_deref().unwrap_or("no time");
    Timestamp::parse_zoned(text)
        .or_else(|| Timestamp::parse_stored(text))
        .map_or_else(|| html! { (text) }, clock)
}

fn decisions(entry: &QuarantinedReading) -> Markup {
    let doubtful = entry.reason == QuarantineReason::PossiblyStored;
    let known = [&entry.meter_external_id, &entry.data_point, &entry.value];
    let known: Vec<&str> = known
        .into_iter()
        .flatten()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    let name = if known.is_empty() {
        format!("reading {}", entry.reading_id)
    } else {
        known.join(" ")
    };
    html! {
        div .buttons {
            button type="button" data-decision="requeue" data-id=(entry.id) data-reading=(name)
                data-doubtful=(doubtful) {
                "Re-queue" span .hidden { " " (name) }
            }
            button type="button" .danger data-decision="discard" data-id=(entry.id) data-reading=(name)
                data-doubtful=(doubtful) {
                "Discard" span .hidden { " " (name) }
            }
        }
    }
}

/// Links to the entries before and after those shown.
fn pages(section: &str, from: u32, all: u64, at: impl Fn(u32) -> View) -> Markup {
    let (first, step) = (u64::from(from) + 1, u64::from(SHOWN));
    let last = (first + step - 1).min(all);
    html! {
        @if all > step || from > 0 {
            nav .pages aria-label={ "Pages of " (section) } {
                span { (count(first.min(all))) " to " (count(last)) " of " (count(all)) }
                @if from > 0 {
                    a href=(at(from.saturating_sub(SHOWN)).link(section)) data-view { "Previous" }
                }
                @if last < all {
                    a href=(at(from.saturating_add(SHOWN)).link(section)) data-view { "Next" }
                }
            }
        }
    }
}
