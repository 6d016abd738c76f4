//! The body of an upload: built once, kept compressed, taken apart only along the readings it was built from.

use std::{
    cell::RefCell,
    io::{self, Read},
};

use flate2::{Compress, Compression as GzipLevel, FlushCompress, Status, read::GzDecoder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use zstd::{bulk::Compressor, zstd_safe::CParameter};

use super::writing;
use crate::domain::{
    compression::{Coding, Compression},
    reading::{Reading, ReadingIdentity},
};

/// Why a kept body cannot be read back: the Sync Database holds something else than was written.
#[derive(Debug, thiserror::Error)]
#[error("the body kept for this batch is damaged: {0}")]
pub struct DamagedBody(String);

#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    readings: Vec<&'a RawValue>,
}

/// The JSON body that carries `readings`, in their order.
pub fn encode(readings: &[Reading]) -> Vec<u8> {
    writing::write(readings)
}

/// Compresses a body, for keeping and as a rule for sending.
pub fn compress(json: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Gzip => gzip(json, GZIP_LEVEL),
        Compression::GzipFast => gzip(json, GZIP_FAST_LEVEL),
        // Without memory for it there is still gzip.
        Compression::Zstd => zstd(json).unwrap_or_else(|_| gzip(json, GZIP_FAST_LEVEL)),
    }
}

/// Where a higher level gains little.
const GZIP_LEVEL: u32 = 4;
const GZIP_FAST_LEVEL: u32 = 1;
/// Higher levels take longer and gain nothing on meter readings.
const ZSTD_LEVEL: i32 = 1;
/// In bytes. What repeats from one reading to the next is at times shorter than the six of this level; fewer than five cost
/// time.
const ZSTD_SHORTEST_MATCH: u32 = 5;

thread_local! {
    /// What a compressor works with is larger than what it makes, so it is kept, by the level.
    static GZIP: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
    static ZSTD: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn gzip(json: &[u8], level: u32) -> Vec<u8> {
    GZIP.with_borrow_mut(|kept| {
        let (_, deflate) = match kept {
            Some(known) if known.0 == level => known,
            _ => kept.insert((level, new_gzip(level))),
        };
        deflate.reset();
        let mut compressed = Vec::with_capacity(json.len() / 8 + 64);
        loop {
            let read = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            let rest = json.get(read..).unwrap_or_default();
            // Writing into memory has no way to fail.
            match deflate.compress_vec(rest, &mut compressed, FlushCompress::Finish) {
                Ok(Status::Ok | Status::BufError) => compressed.reserve(json.len() / 16 + 64),
                Ok(Status::StreamEnd) | Err(_) => return compressed,
            }
        }
    })
}

fn new_gzip(level: u32) -> Compress {
    /// The largest that gzip knows, in bits.
    const WINDOW: u8 = 15;
    Compress::new_gzip(GzipLevel::new(level), WINDOW)
}

fn zstd(json: &[u8]) -> io::Result<Vec<u8>> {
    ZSTD.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(new_zstd()?),
        };
        compressor.compress(json)
    })
}

fn new_zstd() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(ZSTD_LEVEL)?;
    compressor.set_parameter(CParameter::MinMatch(ZSTD_SHORTEST_MATCH))?;
    Ok(compressor)
}

/// Undoes [`compress`], in whichever way that was done.
///
/// # Errors
/// When the bytes are not what [`compress`] made.
pub fn decompress(compressed: &[u8]) -> Result<Vec<u8>, DamagedBody> {
    let damaged = |error: io::Error| DamagedBody(error.to_string());
    match Coding::of(compressed) {
        Coding::Zstd => zstd::decode_all(compressed).map_err(damaged),
        Coding::Gzip | Coding::Identity => {
            let mut json = Vec::new();
            let read = GzDecoder::new(compressed).read_to_end(&mut json);
            read.map(|_| json).map_err(damaged)
        }
    }
}

/// The same body in another coding.
///
/// # Errors
/// When the bytes are not what [`compress`] made.
pub fn recode(compressed: &[u8], coding: Coding) -> Result<Vec<u8>, DamagedBody> {
    let json = decompress(compressed)?;
    Ok(match coding {
        Coding::Identity => json,
        Coding::Gzip => compress(&json, Compression::Gzip),
        Coding::Zstd => compress(&json, Compression::Zstd),
    })
}

/// A body for each list of positions, made of the very bytes that the whole was made of.
///
/// # Errors
/// When `json` is not a body that [`encode`] made. Positions outside of it are passed over.
pub fn split(json: &[u8], parts: &[Vec<usize>]) -> Result<Vec<Vec<u8>>, DamagedBody> {
    let kept = parse(json)?;
    let part = |positions: &Vec<usize>| {
        let readings: Vec<_> = positions
            .iter()
            .filter_map(|position| Some(kept.readings.get(*position)?.get()))
            .collect();
        writing::write_kept(&readings)
    };
    Ok(parts.iter().map(part).collect())
}

/// Which reading is which in the body, in order.
///
/// # Errors
/// When `json` is not a body that [`encode`] made.
pub fn identities(json: &[u8]) -> Result<Vec<ReadingIdentity>, DamagedBody> {
    each(json)
}

/// The meter of every reading in the body, in order.
///
/// # Errors
/// When `json` is not a body that [`encode`] made.
pub fn meters(json: &[u8]) -> Result<Vec<String>, DamagedBody> {
    #[derive(Deserialize)]
    struct Named {
        meter_external_id: String,
    }
    let named: Vec<Named> = each(json)?;
    Ok(named
        .into_iter()
        .map(|named| named.meter_external_id)
        .collect())
}

fn each<T: DeserializeOwned>(json: &[u8]) -> Result<Vec<T>, DamagedBody> {
    let readings = parse(json)?.readings;
    let read = readings.iter().map(|raw| serde_json::from_str(raw.get()));
    read.collect::<Result<_, _>>()
        .map_err(|error| DamagedBody(error.to_string()))
}

fn parse(json: &[u8]) -> Result<Kept<'_>, DamagedBody> {
    serde_json::from_slice(json).map_err(|error| DamagedBody(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{timestamp::Timestamp, value::ReadingValue};

    fn reading(meter: &str, value: &str) -> Reading {
        Reading {
            meter_external_id: meter.into(),
            timestamp: Timestamp::parse_zoned("2026-01-01T00:00:00Z").expect("a time"),
            data_point: "energy \"total\"".into(),
            value: ReadingValue::parse(value).expect("a number"),
            unit: Some("kWh".into()),
        }
    }

    #[test]
    fn values_keep_their_digits_through_keeping_and_splitting() {
        let json = encode(&[
            reading("a", "1.500"),
            reading("b", "123456789012.345"),
            reading("c", "-0"),
        ]);
        for compression in [Compression::Gzip, Compression::GzipFast, Compression::Zstd] {
            let kept = compress(&json, compression);
            assert_eq!(decompress(&kept).expect("own bytes"), json);
            for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
                let sent = recode(&kept, coding).expect("own bytes");
                assert_eq!(Coding::of(&sent), coding);
                let plain = if coding == Coding::Identity {
                    sent
                } else {
                    decompress(&sent).expect("own bytes")
                };
                assert_eq!(plain, json);
            }
        }
        let parts = split(&json, &[vec![1], vec![0, 2]]).expect("own body");
        assert_eq!(parts[0], encode(&[reading("b", "123456789012.345")]));
        assert_eq!(
            parts[1],
            encode(&[reading("a", "1.500"), reading("c", "-0")])
        );
        assert_eq!(meters(&json).expect("own body"), ["a", "b", "c"]);
        let identities = identities(&json).expect("own body");
        assert_eq!(identities.len(), 3);
        assert_eq!(identities[1].meter_external_id, "b");
        assert_eq!(identities[1].data_point, "energy \"total\"");
    }

    #[test]
    fn damage_is_told() {
        assert!(decompress(b"not gzip").is_err());
        let mut cut = compress(b"{}", Compression::Zstd);
        cut.pop();
        assert!(decompress(&cut).is_err());
        assert!(split(b"{}", &[vec![0]]).is_err());
    }
}
