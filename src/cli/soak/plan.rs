//! What happens in a soak, and in which order: everything follows from the seed. Pure.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::demo::fault_proxy::{Cut, Target};

/// Failure points that restart an actor, on ways that are taken all the time.
const PANICS: [&str; 11] = [
    "api_client.upload",
    "api_client.call",
    "sync_manager.trigger",
    "sync_manager.finish_pass",
    "database_writer.handler",
    "database_writer.apply",
    "database_writer.before_commit",
    "database_writer.after_commit",
    "connectivity_monitor.evidence",
    "database_writer.settle",
    "heartbeat.timer",
];
/// The service is killed within so long after it was given something to do.
const LONGEST_LIFE_BEFORE_KILL: Duration = Duration::from_millis(40);

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Attack {
    /// An exchange is cut. With `is_last`, the next attack waits until readings arrive again.
    Cut { cut: Cut, is_last: bool },
    /// The process is killed, so long after it was given something to do.
    Kill { after: Duration },
    /// An actor panics.
    Panic { point: &'static str },
}

/// How many attacks of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) cuts: usize,
    pub(super) kills: usize,
    pub(super) panics: usize,
}

/// All attacks in their order. The second half holds no kills, so that the last process lives long enough to show
/// whether it leaks.
pub(super) fn attacks(seed: u64, numbers: Numbers) -> Vec<Attack> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut others = cuts(numbers.cuts, &mut random);
    others.extend(panics(numbers.panics, &mut random));
    others.shuffle(&mut random);
    let second_half = others.split_off(others.len() / 2);
    let mut attacks = others;
    attacks.extend((0..numbers.kills).map(|_| kill(&mut random)));
    attacks.shuffle(&mut random);
    attacks.extend(second_half);
    attacks
}

/// All kinds in turn, so that none is left to chance.
fn cuts(number: usize, random: &mut StdRng) -> Vec<Attack> {
    let mut kinds = Cut::kinds();
    kinds.shuffle(random);
    let cut = |index: usize| {
        let (stage, harm) = kinds[index % kinds.len()];
        let target = if random.random_bool(0.9) {
            Target::Upload
        } else {
            Target::Any
        };
        let cut = Cut {
            stage,
            harm,
            target,
            share: random.random(),
        };
        Attack::Cut {
            cut,
            is_last: random.random_bool(0.85),
        }
    };
    (0..number).map(cut).collect()
}

fn panics(number: usize, random: &mut StdRng) -> Vec<Attack> {
    let mut points = PANICS;
    points.shuffle(random);
    let panic = |index: usize| Attack::Panic {
        point: points[index % points.len()],
    };
    (0..number).map(panic).collect()
}

fn kill(random: &mut StdRng) -> Attack {
    Attack::Kill {
        after: LONGEST_LIFE_BEFORE_KILL.mul_f64(random.random()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Numbers = Numbers {
        cuts: 200,
        kills: 20,
        panics: 22,
    };

    #[test]
    fn the_seed_decides() {
        assert_eq!(attacks(1, NUMBERS), attacks(1, NUMBERS));
        assert_ne!(attacks(1, NUMBERS), attacks(2, NUMBERS));
    }

    #[test]
    fn every_kind_occurs_and_nothing_is_killed_in_the_second_half() {
        let attacks = attacks(1, NUMBERS);
        assert_eq!(attacks.len(), 242);
        for (stage, harm) in Cut::kinds() {
            let occurs = |attack: &Attack| matches!(attack, Attack::Cut { cut, .. } if (cut.stage, cut.harm) == (stage, harm));
            assert!(attacks.iter().any(occurs), "{harm} {stage}");
        }
        for point in PANICS {
            assert!(attacks.contains(&Attack::Panic { point }));
        }
        let is_kill = |attack: &Attack| matches!(attack, Attack::Kill { .. });
        assert_eq!(attacks.iter().filter(|attack| is_kill(attack)).count(), 20);
        assert!(!attacks[131..].iter().any(is_kill));
    }
}
