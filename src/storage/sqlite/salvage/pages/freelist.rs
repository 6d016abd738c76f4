//! The pages that were given free: what still lies on them had been deleted (section 1.5 of the file format).

use std::collections::HashMap;

use super::{
    file::{Pages, Use, Uses},
    header::number32,
};

/// What is known of the free pages. They are marked as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Freelist {
    /// Whether all of them are known.
    pub(in super::super) is_whole: bool,
}

impl Freelist {
    /// Follows the list from the file's header; there is nothing to follow where that is damaged.
    pub(in super::super) fn follow(pages: &Pages, uses: &mut Uses) -> Self {
        let Some(header) = pages.header() else {
            return Self { is_whole: false };
        };
        let (mut found, mut is_whole) = (0, true);
        let mut next = header.first_free;
        while next != 0 {
            let Some(trunk) = Trunk::read(pages, next) else {
                return Self { is_whole: false };
            };
            if !uses.claim(next, Use::Free) {
                return Self { is_whole: false };
            }
            found += 1 + trunk.leaves.len();
            for leaf in trunk.leaves {
                // A page that a tree leads to is live, whatever the list says.
                is_whole &= uses.claim(leaf, Use::Free) || leaf > pages.present();
            }
            next = trunk.next;
        }
        Self {
            is_whole: is_whole && found == header.free as usize,
        }
    }

    /// Finds the list without the file's header. Every page is part of a tree, or goes on with what lies on such a page,
    /// or is free; and every free one is a trunk, or named by one. So where all that makes no sense otherwise is one chain
    /// of trunks, that is the list.
    pub(in super::super) fn find(pages: &Pages, uses: &mut Uses) -> Self {
        let damaged = (2..=pages.present()).filter(|number| uses.get(*number) == Use::Damaged);
        let trunks: HashMap<u32, Trunk> = damaged
            .filter_map(|number| Some((number, Trunk::read(pages, number)?)))
            .filter(|(_, trunk)| !trunk.is_blank)
            .collect();
        let is_chain = are_one_chain(&trunks);
        for (number, trunk) in &trunks {
            uses.set(*number, Use::Free);
            for leaf in &trunk.leaves {
                uses.set(*leaf, Use::Free);
            }
        }
        let unexplained = (2..=pages.present()).any(|number| uses.get(number) == Use::Damaged);
        Self {
            is_whole: is_chain && !unexplained && !pages.is_cut(),
        }
    }
}

/// Whether each but the first is named by one other, and nothing else is named.
fn are_one_chain(trunks: &HashMap<u32, Trunk>) -> bool {
    let mut named: Vec<u32> = trunks.values().map(|trunk| trunk.next).collect();
    named.sort_unstable();
    let is_distinct = named.windows(2).all(|pair| pair.first() != pair.last());
    let are_known = named
        .iter()
        .all(|next| *next == 0 || trunks.contains_key(next));
    is_distinct && are_known && (named.is_empty() || named.first() == Some(&0))
}

/// A page that names free ones.
#[derive(Debug)]
struct Trunk {
    /// The next one; 0 for none.
    next: u32,
    leaves: Vec<u32>,
    /// It holds zeros and nothing else, as a page does that was destroyed.
    is_blank: bool,
}

impl Trunk {
    /// None where it is no trunk.
    fn read(pages: &Pages, number: u32) -> Option<Self> {
        let bytes = pages.read(number)?;
        let next = number32(&bytes, 0)?;
        let count = usize::try_from(number32(&bytes, 4)?).ok()?;
        if next == number || next > pages.count() || count > pages.usable() / 4 - 2 {
            return None;
        }
        let leaves: Vec<u32> = (0..count)
            .filter_map(|index| number32(&bytes, 8 + 4 * index))
            .filter(|leaf| *leaf > 1 && *leaf <= pages.count() && *leaf != number)
            .collect();
        (leaves.len() == count).then_some(Self {
            next,
            leaves,
            is_blank: bytes.iter().all(|byte| *byte == 0),
        })
    }
}
