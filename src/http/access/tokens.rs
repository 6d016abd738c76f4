//! The tokens, of which only digests are kept, and how one that came is compared with them.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::domain::access::Grant;

/// Of something that nobody may read here.
pub(super) type Digest = [u8; 32];

pub(super) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// What has to be brought along. Without a control token everybody may do everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    control: Option<Digest>,
    read: Option<Digest>,
}

impl Tokens {
    /// One for changing things, which is good for looking as well, and one for looking only.
    pub fn new(control: Option<&SecretString>, read: Option<&SecretString>) -> Self {
        let digest = |token: &SecretString| digest(token.expose_secret().as_bytes());
        Self {
            control: control.map(digest),
            read: read.map(digest),
        }
    }

    pub(super) fn ask_for_control(&self) -> bool {
        self.control.is_some()
    }

    pub(super) fn ask_for_reading(&self) -> bool {
        self.read.is_some()
    }

    /// What a token lets do. Takes the same time whatever it has in common with ours.
    pub(super) fn grant_of(&self, token: &[u8]) -> Option<Grant> {
        let token = digest(token);
        let is = |known: &Option<Digest>| match known {
            Some(known) => known.ct_eq(&token),
            None => Choice::from(0),
        };
        // Both are compared before either result is looked at.
        let (is_control, is_read) = (is(&self.control), is(&self.read));
        match (bool::from(is_control), bool::from(is_read)) {
            (true, _) => Some(Grant::Change),
            (false, true) => Some(Grant::Look),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_good_for_what_it_is_for() {
        let [control, read] = ["control", "read"].map(SecretString::from);
        let tokens = Tokens::new(Some(&control), Some(&read));
        assert_eq!(tokens.grant_of(b"control"), Some(Grant::Change));
        assert_eq!(tokens.grant_of(b"read"), Some(Grant::Look));
        for wrong in ["", "contro", "control ", "Control", "controlread"] {
            assert_eq!(tokens.grant_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Tokens::default().grant_of(b""), None);
        assert_eq!(Tokens::new(Some(&control), None).grant_of(b"read"), None);
    }
}
