//! How the bodies of uploads are compressed: for keeping, and on the wire.

/// A content coding, as HTTP names it (RFC 9110, section 8.4.1; zstd: RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The bytes themselves.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Coding {
    /// What `Content-Encoding` says; none where there is nothing to say.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The coding of compressed bytes, by how they begin.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Identity,
        }
    }
}

/// How a body is compressed for keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, small.
    Gzip,
    /// gzip, in half the time and at less than twice the size.
    GzipFast,
    /// Zstandard: smaller and quicker than gzip.
    Zstd,
}

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadCompression {
    /// gzip, and Zstandard where the Client System offers to take it.
    Auto,
    /// Always this, unless it is refused.
    Always(Compression),
    /// Nothing is compressed on the wire.
    Off,
}

impl UploadCompression {
    /// All names, for people.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("gzip", Self::Always(Compression::Gzip)),
        ("gzip-fast", Self::Always(Compression::GzipFast)),
        ("zstd", Self::Always(Compression::Zstd)),
        ("none", Self::Off),
    ];

    /// The name that people know it by.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, wish)| *wish == self);
        named.map_or("", |(name, _)| name)
    }

    /// How to compress a body; `takes_zstd` is what the Client System has let know, if anything.
    pub fn for_keeping(self, takes_zstd: Option<bool>) -> Compression {
        match (self, takes_zstd) {
            (Self::Auto, Some(true)) => Compression::Zstd,
            (Self::Auto, _) | (Self::Always(Compression::Zstd), Some(false)) => Compression::Gzip,
            (Self::Always(compression), _) => compression,
            // It takes no room on the wire, only some in the database.
            (Self::Off, _) => Compression::GzipFast,
        }
    }

    /// How to send a body that was kept like that.
    pub fn on_the_wire(self, kept: Coding, takes_zstd: Option<bool>) -> Coding {
        let wants_zstd = self == Self::Always(Compression::Zstd) && takes_zstd.is_none();
        match (self, kept) {
            (Self::Off, _) => Coding::Identity,
            (_, Coding::Zstd) if !wants_zstd && takes_zstd != Some(true) => Coding::Gzip,
            (_, kept) => kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstandard_is_for_those_who_offer_it_or_for_operators_who_know() {
        let auto = UploadCompression::Auto;
        let zstd = UploadCompression::Always(Compression::Zstd);
        for (wish, takes_zstd, kept, sent) in [
            (auto, None, Compression::Gzip, Coding::Gzip),
            (auto, Some(false), Compression::Gzip, Coding::Gzip),
            (auto, Some(true), Compression::Zstd, Coding::Zstd),
            (zstd, None, Compression::Zstd, Coding::Zstd),
            (zstd, Some(true), Compression::Zstd, Coding::Zstd),
            (zstd, Some(false), Compression::Gzip, Coding::Gzip),
        ] {
            assert_eq!(
                wish.for_keeping(takes_zstd),
                kept,
                "{wish:?} {takes_zstd:?}"
            );
            assert_eq!(
                wish.on_the_wire(Coding::Zstd, takes_zstd),
                sent,
                "{wish:?} {takes_zstd:?}"
            );
        }
    }

    #[test]
    fn nothing_is_compressed_anew_without_need() {
        for (_, wish) in UploadCompression::NAMES {
            for takes_zstd in [None, Some(false), Some(true)] {
                let expected = if wish == UploadCompression::Off {
                    Coding::Identity
                } else {
                    Coding::Gzip
                };
                assert_eq!(wish.on_the_wire(Coding::Gzip, takes_zstd), expected);
            }
        }
    }
}
