use alloy_primitives::TxKind;

use super::*;
use crate::accounts::Signer;

fn pool(limits: PoolLimits) -> Pool {
    Pool::new(limits)
}

fn admitted(bytes: Vec<u8>) -> (Arc<Transaction>, Bytes) {
    let bytes = Bytes::from(bytes);
    let transaction = Transaction::admit(&bytes, crate::accounts::CHAIN).unwrap();
    (Arc::new(transaction), bytes)
}

/// As from a sender whose next transaction is number 0.
fn add(pool: &mut Pool, now: Instant, signer: &Signer, nonce: u64) -> Result<B256, RpcError> {
    let to = TxKind::Call(Address::repeat_byte(9));
    let (transaction, bytes) = admitted(signer.send(nonce, to, 1, &[]));
    let hash = transaction.hash();
    pool.add(now, transaction, bytes, 0).map(|()| hash)
}

fn refusal(result: Result<B256, RpcError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_gap_waits_and_heals() {
    let (mut pool, now, ann) = (pool(PoolLimits::default()), Instant::now(), Signer::new(0));
    let second = add(&mut pool, now, &ann, 1).unwrap();
    let third = add(&mut pool, now, &ann, 2).unwrap();
    assert_eq!(pool.take(), Taken::default());
    assert_eq!(
        (pool.counts(), pool.next_free(ann.address())),
        ((0, 2), Some(0))
    );
    assert_eq!(pool.stuck(9), [ann.address()]);

    let first = add(&mut pool, now, &ann, 0).unwrap();
    assert_eq!(
        (pool.counts(), pool.next_free(ann.address())),
        ((3, 0), Some(3))
    );
    assert_eq!(pool.take().hashes, [first, second, third]);
    // Nothing of a sender is ordered while something of it is on its way: it could come first.
    add(&mut pool, now, &ann, 3).unwrap();
    assert_eq!(pool.take(), Taken::default());
    for hash in [first, second, third] {
        pool.executed(hash, Height(7));
    }
    assert_eq!(pool.take().hashes.len(), 1);
}

#[test]
fn the_ledger_may_have_what_is_missing_by_another_gateway() {
    let (mut pool, now, ann) = (pool(PoolLimits::default()), Instant::now(), Signer::new(0));
    let early = add(&mut pool, now, &ann, 2).unwrap();
    let mut fate = pool.watch(early);
    let late = add(&mut pool, now, &ann, 4).unwrap();
    pool.correct(ann.address(), 4);
    assert_eq!(pool.take().hashes, [late]);
    let Ok(Fate::Dropped(reason)) = fate.try_recv() else {
        panic!()
    };
    assert_eq!(reason, "nonce too low: next nonce 4, tx nonce 2");
    assert_eq!(
        refusal(add(&mut pool, now, &ann, 3)),
        "nonce too low: next nonce 4, tx nonce 3"
    );
}

#[test]
fn one_more_tenth_replaces_what_is_not_on_its_way() {
    let (mut pool, now, ann) = (pool(PoolLimits::default()), Instant::now(), Signer::new(0));
    let offer = |price: u128, value| {
        let to = TxKind::Call(Address::ZERO);
        let plain = alloy_consensus::TxEip1559 {
            max_fee_per_gas: price,
            max_priority_fee_per_gas: price,
            ..crate::accounts::plain(0, to, value, &[])
        };
        admitted(ann.sign(plain))
    };
    let (first, bytes) = offer(100, 1);
    pool.add(now, first.clone(), bytes.clone(), 0).unwrap();
    let mut fate = pool.watch(first.hash());
    let again = pool.add(now, first, bytes, 0).unwrap_err();
    assert_eq!(again.to_string(), "already known");
    let (cheap, bytes) = offer(109, 2);
    let cheap = pool.add(now, cheap, bytes, 0).unwrap_err();
    assert_eq!(cheap.to_string(), "replacement transaction underpriced");
    let (better, bytes) = offer(110, 3);
    let hash = better.hash();
    pool.add(now, better, bytes, 0).unwrap();
    assert!(matches!(fate.try_recv(), Ok(Fate::Dropped(_))));
    assert_eq!(pool.take().hashes, [hash]);
    let (late, bytes) = offer(1_000, 4);
    let late = pool.add(now, late, bytes, 0).unwrap_err();
    assert_eq!(late.to_string(), "replacement transaction underpriced");
}

#[test]
fn who_sends_too_much_or_waits_for_ever_holds_nobody_else_up() {
    let limits = PoolLimits {
        transactions: 8,
        per_sender: 4,
        ..PoolLimits::default()
    };
    let (mut pool, now) = (pool(limits), Instant::now());
    let (ann, ben, cai) = (Signer::new(0), Signer::new(1), Signer::new(2));
    // With a gap: they can't be ordered.
    for nonce in 1..5 {
        add(&mut pool, now, &ann, nonce).unwrap();
    }
    assert!(refusal(add(&mut pool, now, &ann, 5)).starts_with("txpool is full: 4"));
    for nonce in 0..4 {
        add(&mut pool, now, &ben, nonce).unwrap();
    }
    assert!(refusal(add(&mut pool, now, &cai, 0)).starts_with("txpool is full: try"));
    assert_eq!(pool.take().hashes.len(), 4);
    let later = now + limits.lifetime + Duration::from_secs(1);
    pool.expire(later);
    // What is on its way stays.
    assert_eq!(pool.counts(), (4, 0));
    add(&mut pool, later, &cai, 0).unwrap();
    assert_eq!(pool.take().hashes.len(), 1);
}

#[test]
fn senders_take_turns() {
    let (mut pool, now) = (pool(PoolLimits::default()), Instant::now());
    let signers: Vec<_> = (0..3).map(Signer::new).collect();
    for signer in &signers {
        for nonce in 0..400 {
            add(&mut pool, now, signer, nonce).unwrap();
        }
    }
    let senders = |pool: &Pool, taken: &Taken| -> BTreeSet<_> {
        let all = taken.hashes.iter().map(|hash| pool.places[hash].0);
        all.collect()
    };
    let first = pool.take();
    assert_eq!(
        (first.hashes.len(), senders(&pool, &first).len()),
        (2 * BUNDLE_OF_ONE, 2)
    );
    let second = pool.take();
    assert_eq!(second.hashes.len(), BUNDLE_OF_ONE);
    assert!(senders(&pool, &first).is_disjoint(&senders(&pool, &second)));
}

#[test]
fn what_is_refused_again_and_again_is_given_up_and_what_may_pass_is_not() {
    let (mut pool, now, ann) = (pool(PoolLimits::default()), Instant::now(), Signer::new(0));
    let hash = add(&mut pool, now, &ann, 0).unwrap();
    let next = add(&mut pool, now, &ann, 1).unwrap();
    let mut fate = pool.watch(hash);
    for _ in 0..10 {
        assert_eq!(pool.take().hashes, [hash, next]);
        pool.refused(hash, "exceeds block gas limit: later");
        pool.refused(next, "nonce too high: 1");
        pool.correct(ann.address(), 0);
    }
    assert!(fate.try_recv().is_err());
    for _ in 0..TRIES {
        assert_eq!(pool.take().hashes, [hash, next]);
        pool.unknown(&[hash, next]);
        assert_eq!(pool.take().hashes, [hash, next]);
        pool.refused(hash, "insufficient funds");
        pool.refused(next, "nonce too high: 1");
        pool.correct(ann.address(), 0);
    }
    assert_eq!(
        fate.try_recv(),
        Ok(Fate::Dropped("insufficient funds".to_owned()))
    );
    assert_eq!((pool.counts(), pool.take()), ((0, 1), Taken::default()));
}
