//! In which coding requests go out, and what the Client System lets know about that.

use super::{ApiClientParts, Line};
use crate::{
    domain::{
        coding_verdict::CodingVerdict,
        compression::{Coding, Compression, UploadCompression},
        store::Fact,
        timestamp::Timestamp,
    },
    messages::api_client::RefusedCoding,
};

/// What verdicts on codings are about: the server at this address, and what the operator wants of it.
pub fn about_codings(api_url: &str, wish: UploadCompression) -> String {
    format!("{api_url} {}", wish.name())
}

impl ApiClientParts {
    fn takes_zstd(&self, now: Timestamp) -> Option<bool> {
        self.knowledge.takes_zstd.get()?.takes_at(now)
    }

    fn refused_coding(&self, now: Timestamp) -> Option<RefusedCoding> {
        let refused = |coding, verdict: Option<CodingVerdict>| {
            let until = verdict?.refused_until(now)?;
            Some(RefusedCoding { coding, until })
        };
        let knowledge = &self.knowledge;
        let wants_zstd = self.compression == UploadCompression::Always(Compression::Zstd);
        refused(Coding::Gzip, knowledge.takes_compression.get())
            .or_else(|| refused(Coding::Zstd, knowledge.takes_zstd.get()).filter(|_| wants_zstd))
    }
}

impl Line {
    /// How to send a body that was kept like that.
    pub(super) fn coding(&self, kept: Coding) -> Coding {
        let (parts, now) = (&self.parts, self.now());
        let takes_compression = parts.knowledge.takes_compression.get();
        match takes_compression.and_then(|verdict| verdict.takes_at(now)) {
            Some(false) => Coding::Identity,
            _ => parts.compression.on_the_wire(kept, parts.takes_zstd(now)),
        }
    }

    /// A request in this coding was refused, and that alone was the reason.
    pub(super) fn note_refused(&self, coding: Coding) {
        let refusal = CodingVerdict::new(false, self.now());
        tracing::info!(
            coding = coding.name(),
            "the client system refuses the coding of a request (415); it is sent in another one, and so are the next ones for a day"
        );
        if coding == Coding::Zstd {
            self.note_zstd(refusal);
        } else {
            self.parts.knowledge.takes_compression.set(Some(refusal));
            self.keep(Fact::PlainRequests, refusal);
        }
    }

    /// An answer offers to take Zstandard. A refusal says more than an offer.
    pub(super) fn note_zstd_offer(&self) {
        let now = self.now();
        if self.parts.takes_zstd(now).is_none() {
            tracing::info!("the client system offers to take requests in zstd");
            self.note_zstd(CodingVerdict::new(true, now));
        }
    }

    fn note_zstd(&self, verdict: CodingVerdict) {
        self.parts.knowledge.takes_zstd.set(Some(verdict));
        self.keep(Fact::TakesZstd, verdict);
    }

    fn keep(&self, fact: Fact, verdict: CodingVerdict) {
        let parts = &self.parts;
        let about = about_codings(&parts.settings.api_url, parts.compression);
        self.remember(fact, verdict.encode(&about));
        self.publish_codings();
    }

    pub(super) fn publish_codings(&self) {
        let (parts, now) = (&self.parts, self.now());
        let known = (parts.takes_zstd(now), parts.refused_coding(now));
        let is_told = |snapshot: &super::ApiClientSnapshot| {
            (snapshot.takes_zstd, snapshot.refused_coding) == known
        };
        if !parts.published.read(is_told) {
            parts.published.update(|snapshot| {
                (snapshot.takes_zstd, snapshot.refused_coding) = known;
            });
        }
    }
}
