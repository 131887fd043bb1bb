//! Tests of liveness: each rule once, and what holds after any sequence of inputs.

use proptest::prelude::*;

use super::*;

const ALIVE: Input = Input::Alive { thinking: None, changes: false };

fn beat(thinking: bool) -> Input {
    Input::Alive { thinking: Some(thinking), changes: false }
}

fn session() -> Liveness {
    Liveness::stored(Scope::Session, 0, 0)
}

fn told(tell: Tell, flips: bool) -> Step {
    Step { tell, flips }
}

#[test]
fn silence_makes_inactive() {
    for (scope, timeout) in [(Scope::Session, 30_000), (Scope::Machine, 45_000)] {
        let mut one = Liveness::stored(scope, 0, 0);
        assert_eq!(one.deadline(), None);
        assert_eq!(one.step(ALIVE, 1_000), told(Tell::Alive, true));
        assert_eq!(one.step(Input::Sweep, 1_000 + timeout), told(Tell::Nothing, false));
        assert_eq!(one.step(Input::Sweep, 1_001 + timeout), told(Tell::Inactive, true));
        assert_eq!(one.step(Input::Sweep, 2_000 + timeout), told(Tell::Nothing, false));
        assert_eq!(one.active_at(), 1_000);
    }
}

#[test]
fn the_last_socket_that_leaves_has_a_grace() {
    let mut one = session();
    one.step(Input::Joined, 0);
    one.step(Input::Joined, 0);
    one.step(ALIVE, 0);
    one.step(Input::Left, 1_000);
    assert_eq!(one.deadline(), Some(30_001));
    one.step(Input::Left, 2_000);
    assert_eq!(one.deadline(), Some(7_000));
    assert_eq!(one.step(Input::Sweep, 6_999).tell, Tell::Nothing);
    one.step(Input::Joined, 6_999);
    assert_eq!(one.step(Input::Sweep, 8_000).tell, Tell::Nothing);
    one.step(Input::Left, 9_000);
    assert_eq!(one.step(Input::Sweep, 14_000), told(Tell::Inactive, true));
    // A socket that never joined and heartbeats all the same is judged by its heartbeats.
    assert_eq!(one.step(ALIVE, 15_000), told(Tell::Alive, true));
    assert_eq!(one.deadline(), Some(45_001));
}

#[test]
fn a_prompt_keeps_thinking_for_a_grace() {
    let mut one = session();
    assert_eq!(one.step(Input::Prompt, 0).tell, Tell::Nothing);
    one.step(beat(false), 0);
    assert_eq!(one.step(Input::Prompt, 1_000).tell, Tell::Thinking);
    assert_eq!(one.turn_started_at(), Some(1_000));
    one.step(beat(false), 15_999);
    assert!(one.is_thinking());
    assert_eq!(one.step(beat(false), 16_000).tell, Tell::Alive);
    assert!(!one.is_thinking());
    assert_eq!((one.turn_started_at(), one.thinking_at()), (None, 16_000));
    one.step(Input::Prompt, 20_000);
    one.step(Input::GraceOver, 20_001);
    one.step(beat(false), 20_002);
    assert!(!one.is_thinking());
}

#[test]
fn a_turn_keeps_its_beginning() {
    let mut one = session();
    one.step(beat(true), 1_000);
    one.step(beat(true), 3_000);
    one.step(Input::Prompt, 4_000);
    assert_eq!(one.turn_started_at(), Some(1_000));
    one.step(ALIVE, 5_000);
    assert!(one.is_thinking());
    assert_eq!(one.step(Input::End, 6_000), told(Tell::Inactive, true));
    assert!(!one.is_thinking() && one.turn_started_at().is_none());
}

#[test]
fn heartbeats_that_change_nothing_are_told_seldom() {
    let mut one = session();
    let tells: Vec<i64> =
        (0..20).map(|n| n * 2_000).filter(|now| one.step(beat(false), *now).tell == Tell::Alive).collect();
    assert_eq!(tells, [0, 12_000, 24_000, 36_000]);
    assert_eq!(one.step(beat(true), 38_001).tell, Tell::Alive);
    assert_eq!(one.step(Input::Alive { thinking: Some(true), changes: true }, 38_002).tell, Tell::Alive);
    assert_eq!(one.step(beat(true), 38_003).tell, Tell::Nothing);
}

#[test]
fn a_clock_that_steps_back_stops_no_timeout() {
    let mut one = session();
    one.step(beat(false), 100_000);
    one.step(Input::Prompt, 100_000);
    assert_eq!(one.step(Input::Sweep, 50_000).tell, Tell::Nothing);
    one.step(beat(false), 64_999);
    assert!(one.is_thinking());
    assert_eq!(one.step(beat(false), 65_000).tell, Tell::Alive);
    assert_eq!(one.step(beat(false), 75_001).tell, Tell::Alive);
    assert_eq!(one.active_at(), 100_000);
    assert_eq!(one.step(Input::Sweep, 105_002).tell, Tell::Inactive);
    // Sums at the ends of time stay within it.
    one.step(ALIVE, i64::MAX);
    one.step(Input::Prompt, i64::MAX);
    one.step(Input::Sweep, i64::MIN);
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => (any::<Option<bool>>(), any::<bool>()).prop_map(|(thinking, changes)| Input::Alive { thinking, changes }),
        1 => Just(Input::Joined),
        1 => Just(Input::Left),
        1 => Just(Input::Prompt),
        1 => Just(Input::GraceOver),
        1 => Just(Input::End),
        3 => Just(Input::Sweep),
    ]
}

proptest! {
    #[test]
    fn what_always_holds(steps in proptest::collection::vec((input(), -2_000_i64..12_000), 0..80), is_machine in any::<bool>()) {
        let scope = if is_machine { Scope::Machine } else { Scope::Session };
        let (mut one, mut now) = (Liveness::stored(scope, 0, 0), 0);
        for (input, wait) in steps {
            now += wait;
            let before = one.clone();
            let step = one.step(input, now);
            prop_assert_eq!(step.flips, before.is_active() != one.is_active());
            prop_assert_eq!(one.is_thinking(), one.turn_started_at().is_some());
            prop_assert!(one.is_active() || !one.is_thinking());
            prop_assert!(one.active_at() >= before.active_at());
            if step.flips {
                prop_assert_ne!(step.tell, Tell::Nothing);
            }
            if input == Input::Sweep {
                prop_assert!(one.deadline().is_none_or(|deadline| deadline > now));
            }
            if one.is_active() {
                prop_assert!(one.deadline().is_some_and(|deadline| deadline <= one.active_at() + one.timeout() + 1));
            }
        }
    }

    /// With a socket in the room and heartbeats at any pace below the limit, nothing flips.
    #[test]
    fn a_regular_agent_never_flips(waits in proptest::collection::vec((0_i64..=15_000, 0_i64..=15_000), 1..60)) {
        let (mut one, mut now) = (session(), 0);
        one.step(Input::Joined, now);
        one.step(ALIVE, now);
        for (until_sweep, until_beat) in waits {
            now += until_sweep;
            prop_assert!(!one.step(Input::Sweep, now).flips);
            now += until_beat;
            prop_assert!(!one.step(ALIVE, now).flips);
        }
    }

    /// After the last sign of life a sweep every five seconds ends it within 35 s.
    #[test]
    fn silence_ends_within_the_promise(offset in 0_i64..limits::SWEEP_MS) {
        let mut one = session();
        one.step(ALIVE, 0);
        let ends: Vec<i64> = (0..20)
            .map(|n| offset + n * limits::SWEEP_MS)
            .filter(|now| one.step(Input::Sweep, *now).tell == Tell::Inactive)
            .collect();
        prop_assert_eq!(ends.len(), 1);
        prop_assert!(ends[0] > 30_000 && ends[0] <= 35_001);
    }
}
