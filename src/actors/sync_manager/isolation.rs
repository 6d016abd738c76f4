//! Finding the bad readings in refused batches: which part to send next, and when a refusal means the server
//! rather than the readings. Pure.

use std::collections::{HashMap, VecDeque};

use crate::domain::{batch::IdempotencyKey, reading_ids::ReadingIds};

/// The parts of refused batches that wait to be sent, and what their company came to.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    groups: Vec<Group>,
    roots: HashMap<IdempotencyKey, Root>,
    /// The server accepted something since suspects were last condemned.
    server_accepts: bool,
    /// Readings of batches of which it accepted a part, in an isolation that was cut off.
    partly_taken: ReadingIds,
    /// It has accepted a part of another batch.
    has_news: bool,
}

/// Parts of one split. Both halves are sent before either is split further, and then the later one is followed
/// down: within the first eight parts the pieces get small enough to meet a good reading among many bad ones.
#[derive(Debug)]
struct Group {
    root: IdempotencyKey,
    parts: VecDeque<IdempotencyKey>,
    splits: Vec<Vec<IdempotencyKey>>,
}

#[derive(Debug, Default)]
struct Root {
    refused_parts: u32,
    accepted: bool,
    suspects: u64,
    /// The readings with which it began in this pass.
    ids: ReadingIds,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There are bad readings to be found.
    GoOn,
    /// The server takes nothing at all.
    Blanket,
}

impl Isolation {
    /// When none of so many parts of a batch is accepted, the refusal is no matter of readings.
    const PARTS_UNTIL_BLANKET: u32 = 8;
    /// Of more readings than these nothing is remembered but what the pass at hand found out.
    const REMEMBERED_AT_MOST: usize = 16_384;

    /// Begins a pass; `server_accepts` tells whether earlier passes ended with the server taking readings.
    pub(super) fn new(server_accepts: bool) -> Self {
        Self {
            server_accepts,
            ..Self::default()
        }
    }

    /// Whether the server accepted something since suspects were last condemned.
    pub(super) fn server_accepts(&self) -> bool {
        self.server_accepts
    }

    /// What an earlier isolation has found out.
    pub(super) fn remember(&mut self, partly_taken: ReadingIds) {
        self.partly_taken = partly_taken;
    }

    /// A batch was refused that is no part of one of this pass. Where it is the rest of one of which the server took a part,
    /// that says enough about the server.
    pub(super) fn begin(&mut self, root: &IdempotencyKey, ids: &ReadingIds) {
        let entry = self.roots.entry(root.clone()).or_default();
        entry.ids = entry.ids.iter().chain(ids.iter()).collect();
        entry.accepted |= !ids.is_empty() && ids.without(&self.partly_taken).is_empty();
    }

    /// The next part to send.
    pub(super) fn next_part(&mut self) -> Option<IdempotencyKey> {
        loop {
            if let Some(part) = self.groups.last_mut()?.parts.pop_front() {
                return Some(part);
            }
            let done = self.groups.pop()?;
            let root = done.root;
            let splits = done.splits.into_iter();
            self.groups
                .extend(splits.map(|parts| Group::new(root.clone(), parts)));
            self.forget_if_done(&root);
        }
    }

    /// A root of which nothing waits any more has nothing left to tell.
    fn forget_if_done(&mut self, root: &IdempotencyKey) {
        let is_open = self.groups.iter().any(|group| group.root == *root);
        let is_suspected = |entry: &Root| entry.suspects > 0;
        if !is_open && !self.roots.get(root).is_some_and(is_suspected) {
            self.roots.remove(root);
        }
    }

    /// How many parts wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        let waiting =
            |group: &Group| group.parts.len() + group.splits.iter().map(Vec::len).sum::<usize>();
        self.groups.iter().map(waiting).sum()
    }

    /// Whether parts wait to be sent.
    pub(super) fn has_parts(&self) -> bool {
        self.waiting() > 0
    }

    /// A batch of several readings was too large and has been replaced by these parts. That says nothing about
    /// the readings, nor about what else the server takes.
    pub(super) fn split_for_size(
        &mut self,
        root: &IdempotencyKey,
        parts: Vec<IdempotencyKey>,
        was_part: bool,
    ) {
        self.enqueue(root, parts, was_part);
    }

    /// A batch or a part of one was refused and has been replaced by parts and suspects.
    pub(super) fn refused(
        &mut self,
        root: &IdempotencyKey,
        parts: Vec<IdempotencyKey>,
        suspects: u64,
        was_part: bool,
    ) -> Verdict {
        let entry = self.roots.entry(root.clone()).or_default();
        entry.suspects += suspects;
        entry.refused_parts += u32::from(was_part);
        let blanket = !entry.accepted && entry.refused_parts >= Self::PARTS_UNTIL_BLANKET;
        self.enqueue(root, parts, was_part);
        if blanket {
            Verdict::Blanket
        } else {
            Verdict::GoOn
        }
    }

    fn enqueue(&mut self, root: &IdempotencyKey, parts: Vec<IdempotencyKey>, was_part: bool) {
        if parts.is_empty() {
            return;
        }
        match self.groups.last_mut() {
            Some(group) if was_part && group.root == *root => group.splits.push(parts),
            _ => self.groups.insert(0, Group::new(root.clone(), parts)),
        }
    }

    /// The server accepted something: it is not refusing everything, so suspects are bad.
    /// Tells whether there are any.
    pub(super) fn accepted(&mut self) -> bool {
        self.server_accepts = true;
        let mut has_suspects = false;
        for root in self.roots.values_mut() {
            self.has_news |= !root.accepted;
            root.accepted = true;
            has_suspects |= root.suspects > 0;
        }
        has_suspects
    }

    /// What has to outlive the process, where that is news: the readings of batches that are not isolated yet, while the
    /// server takes others. What earlier isolations found out stays, for their readings may still wait for their turn.
    pub(super) fn news(&mut self) -> Option<&ReadingIds> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        let open = self.roots.values().filter(|root| root.accepted);
        let ids: ReadingIds = open.flat_map(|root| root.ids.iter()).collect();
        if ids.without(&self.partly_taken).is_empty() {
            return None;
        }
        self.partly_taken = if ids.len() + self.partly_taken.len() > Self::REMEMBERED_AT_MOST {
            ids
        } else {
            self.partly_taken.iter().chain(ids.iter()).collect()
        };
        Some(&self.partly_taken)
    }

    /// The queue is empty: none of the readings waits any more of which something is remembered, and their ids may be
    /// given to others. Tells whether there was something.
    pub(super) fn forget(&mut self) -> bool {
        !std::mem::take(&mut self.partly_taken).is_empty()
    }

    /// The batches that have suspects.
    pub(super) fn suspected(&self) -> Vec<IdempotencyKey> {
        let suspected = self.roots.iter().filter(|(_, root)| root.suspects > 0);
        suspected.map(|(key, _)| key.clone()).collect()
    }

    /// All suspects went to quarantine, or will.
    pub(super) fn condemned(&mut self) {
        for root in self.roots.values_mut() {
            root.suspects = 0;
        }
    }

    /// At the end of a pass: the roots whose suspects are proven bad, and whether suspects remain of which
    /// nobody can tell. A batch that fell apart before eight parts proves nothing by itself; at the end of the queue it
    /// counts that the server accepted something before. That evidence serves once, so that a server which has turned to
    /// refusing everything costs a handful of readings a detour through quarantine at the most.
    pub(super) fn conclude(&mut self, is_end_of_queue: bool) -> (Vec<IdempotencyKey>, bool) {
        let server_accepts = std::mem::take(&mut self.server_accepts);
        let suspected = || self.roots.iter().filter(|(_, root)| root.suspects > 0);
        let is_proven = |root: &Root| {
            root.accepted
                || (is_end_of_queue
                    && server_accepts
                    && root.refused_parts < Self::PARTS_UNTIL_BLANKET)
        };
        let proven: Vec<_> = suspected()
            .filter(|(_, root)| is_proven(root))
            .map(|(key, _)| key.clone())
            .collect();
        let open = suspected().any(|(_, root)| !is_proven(root));
        let used_up = suspected().any(|(_, root)| !root.accepted && is_proven(root));
        self.server_accepts = server_accepts && !used_up && !open;
        (proven, open)
    }
}

impl Group {
    fn new(root: IdempotencyKey, parts: Vec<IdempotencyKey>) -> Self {
        Self {
            root,
            parts: parts.into(),
            splits: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends a batch of `length` readings to a server that refuses parts with bad readings, without naming any.
    struct Simulation {
        isolation: Isolation,
        ranges: HashMap<IdempotencyKey, (usize, usize)>,
        requests: u32,
        condemned: Vec<usize>,
        suspects: Vec<usize>,
        blanket: bool,
    }

    fn simulate(length: usize, is_bad: impl Fn(usize) -> bool) -> Simulation {
        let root = IdempotencyKey("root".to_owned());
        let mut run = Simulation {
            isolation: Isolation::default(),
            ranges: HashMap::from([(root.clone(), (0, length))]),
            requests: 0,
            condemned: Vec::new(),
            suspects: Vec::new(),
            blanket: false,
        };
        let mut next = Some(root.clone());
        while let Some(key) = next {
            let (start, end) = run.ranges[&key];
            run.requests += 1;
            let was_part = key != root;
            if !(start..end).any(&is_bad) {
                if run.isolation.accepted() {
                    run.condemned.append(&mut run.suspects);
                    run.isolation.condemned();
                }
            } else if end - start == 1 {
                run.suspects.push(start);
                run.blanket |=
                    run.isolation.refused(&root, Vec::new(), 1, was_part) == Verdict::Blanket;
            } else {
                let middle = start + (end - start).div_ceil(2);
                let parts = [(start, middle), (middle, end)].map(|range| {
                    let part = IdempotencyKey(format!("{}-{}", range.0, range.1));
                    run.ranges.insert(part.clone(), range);
                    part
                });
                run.blanket |=
                    run.isolation.refused(&root, parts.to_vec(), 0, was_part) == Verdict::Blanket;
            }
            if run.blanket {
                break;
            }
            next = run.isolation.next_part();
        }
        let (proven, open) = run.isolation.conclude(true);
        if !proven.is_empty() && !open {
            run.condemned.append(&mut run.suspects);
        }
        run.condemned.sort_unstable();
        run
    }

    proptest! {
        #[test]
        fn one_bad_reading_costs_no_more_requests_than_stated(length in 2_usize..3_000, at in 0_usize..3_000) {
            let bad = at % length;
            let run = simulate(length, |reading| reading == bad);
            prop_assert!(!run.blanket);
            prop_assert_eq!(run.condemned, vec![bad]);
            prop_assert!(run.requests <= 2 * (length.next_power_of_two().trailing_zeros()) + 1, "{} requests", run.requests);
        }

        #[test]
        fn a_few_bad_readings_are_exactly_found(bad in prop::collection::btree_set(0_usize..1_000, 1..4)) {
            let run = simulate(1_000, |reading| bad.contains(&reading));
            prop_assert!(!run.blanket);
            prop_assert_eq!(run.condemned, bad.iter().copied().collect::<Vec<_>>());
            prop_assert!(run.requests <= 21 * bad.len() as u32);
        }
    }

    #[test]
    fn a_server_that_refuses_everything_is_found_out_within_eight_parts() {
        let run = simulate(1_000, |_| true);
        assert!(run.blanket);
        assert_eq!((run.requests, run.condemned.len()), (9, 0));
    }

    #[test]
    fn what_the_server_accepted_before_speaks_against_a_few_readings_once() {
        let root = IdempotencyKey("root".to_owned());
        let mut isolation = Isolation::new(true);
        assert_eq!(
            isolation.refused(&root, Vec::new(), 1, false),
            Verdict::GoOn
        );
        assert_eq!(isolation.conclude(true), (vec![root.clone()], false));
        assert!(!isolation.server_accepts(), "the evidence is used up");
        let mut next = Isolation::new(false);
        next.refused(&root, Vec::new(), 1, false);
        assert_eq!(next.conclude(true), (Vec::new(), true));
        assert_eq!(Isolation::new(true).conclude(true), (Vec::new(), false));
    }

    #[test]
    fn a_lone_bad_reading_stays_a_suspect_until_something_is_accepted() {
        let mut run = simulate(1, |_| true);
        assert!(!run.blanket);
        assert_eq!(run.isolation.conclude(true), (Vec::new(), true));
        assert!(run.isolation.accepted());
        run.isolation.condemned();
        assert!(!run.isolation.accepted(), "judged once");
    }

    #[test]
    fn the_rest_of_a_batch_is_known_in_a_later_pass() {
        let key = |name: &str| IdempotencyKey(name.to_owned());
        let all: ReadingIds = (1..=100).collect();
        let mut first = Isolation::default();
        first.begin(&key("a"), &all);
        first.refused(&key("a"), vec![key("b"), key("c")], 0, false);
        assert_eq!(first.news(), None);
        first.accepted();
        assert_eq!(first.news(), Some(&all));
        first.accepted();
        assert_eq!(first.news(), None, "written down once");

        let refuse = |isolation: &mut Isolation, ids: ReadingIds| {
            isolation.begin(&key("d"), &ids);
            isolation.refused(&key("d"), vec![key("e"), key("f")], 0, false);
            let verdicts = (0..20).map(|_| isolation.refused(&key("d"), Vec::new(), 1, true));
            verdicts.last()
        };
        let mut later = Isolation::default();
        later.remember(all);
        assert_eq!(refuse(&mut later, (40..=51).collect()), Some(Verdict::GoOn));
        let mut others = Isolation::default();
        others.remember((1..=45).collect());
        assert_eq!(
            refuse(&mut others, (40..=51).collect()),
            Some(Verdict::Blanket)
        );
    }

    #[test]
    fn a_second_isolation_that_is_cut_off_does_not_wipe_out_the_first() {
        let key = |name: &str| IdempotencyKey(name.to_owned());
        let cut_off = |isolation: &mut Isolation, name: &str, ids: ReadingIds| {
            isolation.begin(&key(name), &ids);
            isolation.refused(&key(name), vec![key("left"), key("right")], 0, false);
            isolation.accepted();
            isolation.news().cloned()
        };
        let mut first = Isolation::default();
        let known = cut_off(&mut first, "a", (1..=100).collect()).unwrap();
        let mut second = Isolation::default();
        second.remember(known);
        let known = cut_off(&mut second, "b", (101..=150).collect()).unwrap();
        assert_eq!(known, (1..=150).collect());

        let mut third = Isolation::default();
        third.remember(known);
        let long: ReadingIds = (1_000..1_000 + Isolation::REMEMBERED_AT_MOST as i64).collect();
        assert_eq!(cut_off(&mut third, "c", long.clone()), Some(long));
        assert!(third.forget());
        assert!(!third.forget());
    }
}
