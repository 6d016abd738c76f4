//! The fields of an answer, found without copying it: its size is up to the Client System, and what it says about a batch is
//! not.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A text or a number that is longer is none that an answer has.
const LONGEST_VALUE: usize = 64 << 10;

/// What an answer may say, each as it is written there.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow, default)]
    pub(super) success: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) inserted: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) skipped: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// None where the bytes are no object in JSON, or say something twice.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        is_object.then(|| serde_json::from_slice(body).ok())?
    }

    /// Hands over the entries of the list of errors one by one; none where there is no such list.
    pub(super) fn each_error(&self, look: impl FnMut(&'a RawValue)) {
        if let Some(errors) = self.errors {
            let mut list = serde_json::Deserializer::from_str(errors.get());
            // Whatever else it is, it names no readings.
            let _ = list.deserialize_seq(Entries(look));
        }
    }
}

/// What is written there, where it is of the type that is asked for.
pub(super) fn value<'a, T: Deserialize<'a>>(written: &'a RawValue) -> Option<T> {
    let text = written.get();
    let is_short = text.len() <= LONGEST_VALUE;
    is_short.then(|| serde_json::from_str(text).ok())?
}

struct Entries<F>(F);

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            (self.0)(entry);
        }
        Ok(())
    }
}
