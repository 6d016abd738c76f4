//! The running checksum of the write-ahead log: each frame's goes on from the one before it.

/// The checksum up to somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) is_big_endian: bool,
    pub(super) first: u32,
    pub(super) second: u32,
}

impl Sums {
    /// Goes on over bytes, eight at a time.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (one, other) = self.numbers(pair);
            self.first = self.first.wrapping_add(one).wrapping_add(self.second);
            self.second = self.second.wrapping_add(other).wrapping_add(self.first);
        }
    }

    /// Goes back over bytes that were added last.
    fn take_back(&mut self, bytes: &[u8]) {
        for pair in bytes.rchunks_exact(8) {
            let (one, other) = self.numbers(pair);
            self.second = self.second.wrapping_sub(other).wrapping_sub(self.first);
            self.first = self.first.wrapping_sub(one).wrapping_sub(self.second);
        }
    }

    /// The only eight bytes that lead from here over `bytes` after them to `end`: there are always such, but hardly ever
    /// any that make sense unless all else is as it was written.
    pub(super) fn missing_before(self, bytes: &[u8], end: Self) -> [u8; 8] {
        let mut after = end;
        after.take_back(bytes);
        let one = after
            .first
            .wrapping_sub(self.first)
            .wrapping_sub(self.second);
        let other = after
            .second
            .wrapping_sub(self.second)
            .wrapping_sub(after.first);
        let [one, other] = [one, other].map(|number| {
            if self.is_big_endian {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            }
        });
        let mut missing = [0; 8];
        missing[..4].copy_from_slice(&one);
        missing[4..].copy_from_slice(&other);
        missing
    }

    fn numbers(self, pair: &[u8]) -> (u32, u32) {
        let number = |at: usize| {
            let bytes = pair.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            let bytes: [u8; 4] = bytes.unwrap_or_default();
            if self.is_big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        (number(0), number(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_bytes_that_are_missing_are_reckoned_from_the_others(
            missing in any::<[u8; 8]>(),
            rest in prop::collection::vec(any::<[u8; 8]>(), 0..50),
            first in any::<u32>(),
            second in any::<u32>(),
            is_big_endian in any::<bool>(),
        ) {
            let rest = rest.concat();
            let start = Sums { is_big_endian, first, second };
            let mut end = start;
            end.add(&missing);
            end.add(&rest);
            prop_assert_eq!(start.missing_before(&rest, end), missing);
        }
    }
}
