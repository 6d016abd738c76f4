//! The readings of a body in JSON, each still as the text that came.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::MOST_READINGS;

/// Those of an array, or of an object that holds it.
pub(super) fn elements(body: &str) -> serde_json::Result<Bounded<'_>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Envelope<'a> {
        #[serde(borrow)]
        readings: Bounded<'a>,
    }
    if body.trim_start().starts_with('{') {
        serde_json::from_str::<Envelope<'_>>(body).map(|envelope| envelope.readings)
    } else {
        serde_json::from_str(body)
    }
}

/// The elements of an array; past the most that are allowed, only their number.
pub(super) struct Bounded<'a> {
    pub(super) items: Vec<&'a RawValue>,
    pub(super) count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Bounded<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for BoundedVisitor<'a> {
    type Value = Bounded<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of readings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST_READINGS {
            let index = items.len();
            let next = elements.next_element::<&'de RawValue>();
            match next.map_err(|error| A::Error::custom(format!("index {index}: {error}")))? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        let mut count = items.len();
        while count >= MOST_READINGS && elements.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Bounded { items, count })
    }
}
