//! By what rows are known again without keeping them.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::LazyLock,
};

use foldhash::quality::RandomState;

use super::reading::{RawCell, RawReading};

/// Of this process alone.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// The digest of rows as they were read, ids included. Others have it once in 2^64 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsDigest(u64);

impl RowsDigest {
    /// Of these rows, in this order.
    pub fn of(rows: &[RawReading]) -> Self {
        let mut hasher = SEED.build_hasher();
        for row in rows {
            hash(row, &mut hasher);
        }
        Self(hasher.finish())
    }
}

/// The kind of every cell and the length of every text come before it, so that what follows can mean nothing else.
fn hash(row: &RawReading, hasher: &mut impl Hasher) {
    hasher.write_i64(row.id);
    for cell in [
        &row.meter_external_id,
        &row.timestamp,
        &row.data_point,
        &row.value,
        &row.unit,
    ] {
        match cell {
            RawCell::Null => hasher.write_u8(0),
            RawCell::Blob => hasher.write_u8(1),
            RawCell::Integer(number) => {
                hasher.write_u8(2);
                hasher.write_i64(*number);
            }
            RawCell::Real(number) => {
                hasher.write_u8(3);
                hasher.write_u64(number.to_bits());
            }
            RawCell::Time(time) => {
                hasher.write_u8(4);
                time.hash(hasher);
            }
            RawCell::Text(text) => {
                hasher.write_u8(5);
                hasher.write_usize(text.len());
                hasher.write(text.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_and_the_order_count() {
        let row = RawReading {
            id: 7,
            meter_external_id: RawCell::Text("M-7".into()),
            timestamp: RawCell::Text("2026-03-01 10:00:00".into()),
            data_point: RawCell::Text("energy".into()),
            value: RawCell::Real(1.5),
            unit: RawCell::Null,
            writer: None,
        };
        let changed = [
            RawReading {
                id: 8,
                ..row.clone()
            },
            RawReading {
                meter_external_id: RawCell::Text("M-8".into()),
                ..row.clone()
            },
            RawReading {
                timestamp: RawCell::Null,
                ..row.clone()
            },
            RawReading {
                data_point: RawCell::Text("energy ".into()),
                ..row.clone()
            },
            RawReading {
                value: RawCell::Integer(1),
                ..row.clone()
            },
            RawReading {
                unit: RawCell::Text("".into()),
                ..row.clone()
            },
        ];
        let digest = RowsDigest::of(std::slice::from_ref(&row));
        assert_eq!(
            digest,
            RowsDigest::of(&[RawReading {
                writer: Some(4),
                ..row.clone()
            }])
        );
        for changed in changed {
            assert_ne!(
                digest,
                RowsDigest::of(std::slice::from_ref(&changed)),
                "{changed:?}"
            );
            let both = [row.clone(), changed.clone()];
            let turned = [changed, row.clone()];
            assert_ne!(RowsDigest::of(&both), RowsDigest::of(&turned));
        }
    }
}
