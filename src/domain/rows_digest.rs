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
            row.id.hash(&mut hasher);
            for cell in [
                &row.meter_external_id,
                &row.timestamp,
                &row.data_point,
                &row.value,
                &row.unit,
            ] {
                hash(cell, &mut hasher);
            }
        }
        Self(hasher.finish())
    }
}

fn hash(cell: &RawCell, hasher: &mut impl Hasher) {
    std::mem::discriminant(cell).hash(hasher);
    match cell {
        RawCell::Null | RawCell::Blob => {}
        RawCell::Integer(number) => number.hash(hasher),
        RawCell::Real(number) => number.to_bits().hash(hasher),
        RawCell::Text(text) => text.hash(hasher),
        RawCell::Time(time) => time.hash(hasher),
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
