//! What a viewer has chosen to see, as it stands behind the question mark: pages can be linked, and work without a script.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;
use serde_json::json;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};

use crate::http::{
    problem::Problem,
    query::{Query, bad_value},
};

/// Spans that the charts can show, in hours, and what they are called.
pub(super) const SPANS: [(u32, &str); 3] = [(1, "Hour"), (24, "Day"), (168, "Week")];
const DEFAULT_SPAN: u32 = 24;
const OFFSETS: RangeInclusive<u32> = 0..=1_000_000;

/// One of [`SPANS`], as it is described.
pub(super) struct Span;

impl ToSchema for Span {}

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        let hours = SPANS.map(|(hours, _)| json!(hours));
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some(hours))
            .into()
    }
}

/// Which span the charts show and which entries the lists begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) hours: u32,
    pub(super) meters_from: u32,
    pub(super) quarantine_from: u32,
}

/// [`View`] as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes, and is never made")]
pub(super) struct ViewParameters {
    /// How many hours the charts go back: 1, 24 or 168; 24 where absent.
    #[param(value_type = Option<Span>, inline)]
    hours: Option<u32>,
    /// How many meters to pass over; 0 where absent.
    #[param(minimum = 0, maximum = 1_000_000)]
    meters_from: Option<u32>,
    /// How many entries of the quarantine to pass over; 0 where absent.
    #[param(minimum = 0, maximum = 1_000_000)]
    quarantine_from: Option<u32>,
}

impl View {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut query = Query::of(request)?;
        let view = Self {
            hours: span(&mut query)?,
            meters_from: query.number("meters_from", 0, &OFFSETS)?,
            quarantine_from: query.number("quarantine_from", 0, &OFFSETS)?,
        };
        query.end()?;
        Ok(view)
    }

    /// The page that shows this, at one of its sections.
    pub(super) fn link(&self, section: &str) -> String {
        let Self {
            hours,
            meters_from,
            quarantine_from,
        } = self;
        format!(
            "/?hours={hours}&meters_from={meters_from}&quarantine_from={quarantine_from}#{section}"
        )
    }
}

pub(super) fn span(query: &mut Query) -> Result<u32, Problem> {
    let Some(text) = query.text("hours")? else {
        return Ok(DEFAULT_SPAN);
    };
    let named = text.parse().ok();
    let known = SPANS.iter().map(|(hours, _)| *hours);
    known
        .into_iter()
        .find(|hours| Some(*hours) == named)
        .ok_or_else(|| bad_value("hours", &text, "1, 24 or 168"))
}
