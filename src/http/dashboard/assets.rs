//! What the page is made of besides itself: its style, its scripts and its icons, from within the program.

use std::fmt::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETag, EntityTag, Header, IfNoneMatch},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

const STYLE: &str = include_str!("assets/page.css");
const ICON: &str = include_str!("assets/icon.svg");
/// What stands in the icon for its colour.
const ICON_COLOUR: &str = "#010101";

/// A file that the page loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) enum Asset {
    /// The style.
    #[serde(rename = "page.css")]
    Style,
    /// What makes the page live.
    #[serde(rename = "page.js")]
    Page,
    /// What is asked of the service.
    #[serde(rename = "actions.js")]
    Actions,
    /// The charts.
    #[serde(rename = "charts.js")]
    Charts,
    /// Times in the viewer's zone.
    #[serde(rename = "times.js")]
    Times,
    /// All is well.
    #[serde(rename = "good.svg")]
    Good,
    /// Work is under way.
    #[serde(rename = "busy.svg")]
    Busy,
    /// Something needs attention, or patience.
    #[serde(rename = "warn.svg")]
    Warn,
    /// Nothing is uploaded.
    #[serde(rename = "bad.svg")]
    Bad,
    /// Switched off.
    #[serde(rename = "off.svg")]
    Off,
}

impl Asset {
    const ALL: [Self; 10] = [
        Self::Style,
        Self::Page,
        Self::Actions,
        Self::Charts,
        Self::Times,
        Self::Good,
        Self::Busy,
        Self::Warn,
        Self::Bad,
        Self::Off,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Style => "page.css",
            Self::Page => "page.js",
            Self::Actions => "actions.js",
            Self::Charts => "charts.js",
            Self::Times => "times.js",
            Self::Good => "good.svg",
            Self::Busy => "busy.svg",
            Self::Warn => "warn.svg",
            Self::Bad => "bad.svg",
            Self::Off => "off.svg",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|asset| asset.name() == name)
    }

    fn content(self) -> String {
        let coloured = |colour| ICON.replace(ICON_COLOUR, colour);
        match self {
            Self::Style => STYLE.to_owned(),
            Self::Page => include_str!("assets/page.js").to_owned(),
            Self::Actions => include_str!("assets/actions.js").to_owned(),
            Self::Charts => include_str!("assets/charts.js").to_owned(),
            Self::Times => include_str!("assets/times.js").to_owned(),
            Self::Good => coloured("#1a8a4a"),
            Self::Busy => coloured("#2470d8"),
            Self::Warn => coloured("#c98a00"),
            Self::Bad => coloured("#d13a30"),
            Self::Off => coloured("#6b7686"),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Style => "text/css; charset=utf-8",
            Self::Page | Self::Actions | Self::Charts | Self::Times => {
                "text/javascript; charset=utf-8"
            }
            Self::Good | Self::Busy | Self::Warn | Self::Bad | Self::Off => "image/svg+xml",
        }
    }

    /// The file, or word that the browser has it already: another version of the program has another tag.
    pub(super) fn answer(self, request: &HttpRequest) -> HttpResponse {
        let content = self.content();
        let tag = EntityTag::new_strong(fingerprint(&content));
        let known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|one| one.weak_eq(&tag)),
            Err(_) => false,
        };
        let mut answer = if known {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        answer
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header(ETag(tag));
        if known {
            return answer.finish();
        }
        answer.content_type(self.media_type()).body(content)
    }
}

fn fingerprint(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest
        .iter()
        .take(12)
        .fold(String::new(), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_name_of_its_own() {
        for asset in Asset::ALL {
            assert_eq!(Asset::parse(asset.name()), Some(asset));
            assert_eq!(serde_json::json!(asset), asset.name());
            assert!(!asset.content().is_empty());
        }
    }

    #[test]
    fn nothing_refers_to_another_host() {
        for asset in Asset::ALL {
            let content = asset.content().replace("http://www.w3.org/2000/svg", "");
            assert!(
                !content.contains("//www") && !content.contains("http"),
                "{asset:?}"
            );
        }
    }
}
