//! A client's numbers are its own for ever, whatever becomes of its clock.

mod members;

use bytes::Bytes;
use hedgerow_base::{Lsn, Time};
use hedgerow_epochs::*;
use hedgerow_machine::{Effect, Input, Machine, Outbox, Target};
use hedgerow_ordering::Command;
use members::keyrings;

/// What one life writes into its log, and the positions that its sends wait for.
fn live(log: &[(Lsn, Record)], clock: Time, requests: u64) -> (Vec<(Lsn, Record)>, Vec<Lsn>) {
    let config = Config::beginning_with("pbft".parse().unwrap());
    let keyring = keyrings().remove(4);
    let mut client = Client::recover(config, keyring, log.to_vec(), clock).unwrap();
    let last = log.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
    let mut out = Outbox::new(last);
    let (mut records, mut sends) = (Vec::new(), Vec::new());
    for ticket in 0..requests {
        let operation = Bytes::from_static(b"operation");
        let invoke = Command::Invoke { ticket, operation };
        client.step(clock, Input::Command(invoke), &mut out);
    }
    client.settle(clock, &mut out);
    for effect in out.drain() {
        match effect {
            Effect::Persist { lsn, record } => records.push((lsn, record)),
            Effect::Send { after, to, .. } => {
                assert_ne!(to, Target::Node(hedgerow_base::NodeId(4)));
                sends.push(after);
            }
            _ => {}
        }
    }
    (records, sends)
}

fn reserved(records: &[(Lsn, Record)]) -> u64 {
    match records {
        [(_, Record::Reserved(number))] => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_are_reserved_before_they_are_used_and_no_life_uses_them_again() {
    let clock = Time::from_millis(1_000_000);
    let (first, sends) = live(&[], clock, 3);
    assert!(reserved(&first) > clock.0 / 1000 + 3);
    assert!(!sends.is_empty() && sends.iter().all(|after| *after == first[0].0));

    // The clock was set back.
    let back = Time::from_millis(1_000);
    let (second, sends) = live(&first, back, 3);
    assert!(reserved(&second) > reserved(&first) + 3);
    assert!(sends.iter().all(|after| *after == second[0].0));

    // Once the clock is right again, the numbers are as if nothing had been written.
    let later = Time::from_millis(9_000_000);
    let (third, _) = live(&second, later, 3);
    let (alone, _) = live(&[], later, 3);
    assert_eq!(reserved(&third), reserved(&alone));
}

#[test]
fn a_client_that_is_asked_for_nothing_writes_nothing() {
    let (records, sends) = live(&[], Time::from_millis(5), 0);
    assert!(records.is_empty() && sends.is_empty());
}
