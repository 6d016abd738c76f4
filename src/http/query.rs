//! What comes behind the question mark: every value is checked, and what nobody asks for is refused, for a
//! misspelt `limit` should not silently mean the default.

use std::{ops::RangeInclusive, str::FromStr};

use actix_web::{HttpRequest, web};
use utoipa::IntoParams;

use super::problem::Problem;
use crate::domain::store::Window;

const LIMIT_DEFAULT: u32 = 100;
const LIMITS: RangeInclusive<u32> = 1..=1_000;

/// [`Query::window`] as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes, and is never made")]
pub(super) struct WindowParameters {
    /// How many at most; 100 where absent.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<u32>,
    /// How many to pass over first; 0 where absent.
    #[param(minimum = 0, maximum = 4_294_967_295_u32)]
    offset: Option<u32>,
}

/// The parameters of a request that nobody has taken yet.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map(|pairs| Self(pairs.into_inner()))
            .map_err(|error| {
                Problem::invalid(format!(
                    "the query cannot be read, so nothing was done: {error}"
                ))
            })
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut found = Vec::new();
        self.0.retain(|(key, value)| {
            let wanted = key == name;
            if wanted {
                found.push(value.clone());
            }
            !wanted
        });
        if found.len() > 1 {
            return Err(Problem::invalid(format!(
                "the query holds {name} more than once, so nothing was done; give it once"
            )));
        }
        Ok(found.pop())
    }

    pub(super) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &mut self,
        name: &str,
        default: T,
        allowed: &RangeInclusive<T>,
    ) -> Result<T, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| allowed.contains(number))
            .ok_or_else(|| {
                let words = format!(
                    "a whole number from {} to {}",
                    allowed.start(),
                    allowed.end()
                );
                bad_value(name, &text, &words)
            })
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.text(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(bad_value(name, other, "true or false")),
        }
    }

    pub(super) fn window(&mut self) -> Result<Window, Problem> {
        Ok(Window {
            limit: self.number("limit", LIMIT_DEFAULT, &LIMITS)?,
            offset: self.number("offset", 0, &(0..=u32::MAX))?,
        })
    }

    /// To be called last: refuses what nobody has taken.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::invalid(format!(
                "the query holds {name:?}, which is not known here, so nothing was done; leave it out or correct its name"
            ))),
        }
    }
}

pub(super) fn bad_value(name: &str, found: &str, allowed: &str) -> Problem {
    Problem::invalid(format!(
        "{name} is {found:?}, so nothing was done; allowed is {allowed}"
    ))
}

/// For routes without parameters.
pub(super) fn none(request: &HttpRequest) -> Result<(), Problem> {
    Query::of(request)?.end()
}
