//! The effective configuration as a table: what is in force, and which layer said so.

use maud::{Markup, html};

use crate::domain::answer::EffectiveSettings;

/// The settings; secrets are redacted before they come here.
pub(super) fn settings(settings: &EffectiveSettings) -> Markup {
    let EffectiveSettings {
        environment,
        settings,
        warnings,
    } = settings;
    html! {
        div #settings-list data-part {
        @for warning in warnings { p .trouble { (warning) } }
        details {
            summary {
                (settings.len()) " settings in force"
                @if let Some(environment) = environment { ", environment " (environment) }
            }
            div .scrolls tabindex="0" role="region" aria-label="Settings, table" {
                table {
                    caption .hidden { "Settings in force" }
                    thead {
                        tr {
                            th scope="col" { "Setting" }
                            th scope="col" { "Value" }
                            th scope="col" { "From" }
                        }
                    }
                    tbody {
                        @for setting in settings {
                            tr {
                                th scope="row" { code { (setting.key) } }
                                td { code { (setting.value) } }
                                td { (setting.from) }
                            }
                        }
                    }
                }
            }
        }
        }
    }
}
