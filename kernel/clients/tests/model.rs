//! The table against a naive one that remembers everything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_clients::{Clients, Numbers, REPLY_OVERHEAD};
use hedgerow_wire::{decode, encode};
use proptest::prelude::*;

/// All numbers ever used, in a set.
#[derive(Default)]
struct Naive {
    used: BTreeSet<u64>,
}

impl Naive {
    fn is_fresh(&self, number: u64, window: u64) -> bool {
        let highest = self.used.last().copied().unwrap_or(0);
        let fallen_out = number
            .checked_add(window)
            .is_some_and(|reach| reach <= highest);
        !fallen_out && !self.used.contains(&number)
    }
}

/// Everything ever executed of one client, and the replies that should be left of it.
#[derive(Default)]
struct NaiveClient {
    numbers: Naive,
    replies: BTreeMap<u64, Bytes>,
}

impl NaiveClient {
    fn executed(&mut self, number: u64, reply: Bytes, window: u64, reply_bytes: usize) {
        self.numbers.used.insert(number);
        self.replies.insert(number, reply);
        let cost = |replies: &BTreeMap<u64, Bytes>| -> usize {
            replies.values().map(|r| r.len() + REPLY_OVERHEAD).sum()
        };
        if self.replies.len() as u64 > window {
            let numbers = &self.numbers;
            let highest = numbers.used.last().copied().unwrap_or(0);
            self.replies.retain(|&number, _| highest - number < window);
        }
        while self.replies.len() > 1 && cost(&self.replies) > reply_bytes {
            self.replies.pop_first();
        }
    }
}

/// Mostly close together, as a client's numbers are, with leaps to anywhere.
fn number() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..200_u64).prop_map(Step::Below),
        4 => (1..80_u64).prop_map(Step::Above),
        1 => (0..400_u64).prop_map(Step::Above),
        1 => any::<u64>().prop_map(Step::At),
    ]
}

/// A number, relative to the highest so far.
#[derive(Clone, Copy, Debug)]
enum Step {
    Below(u64),
    Above(u64),
    At(u64),
}

impl Step {
    fn number(self, highest: u64) -> u64 {
        match self {
            Self::Below(by) => highest.saturating_sub(by),
            Self::Above(by) => highest.saturating_add(by),
            Self::At(number) => number,
        }
    }
}

proptest! {
    #[test]
    fn numbers_are_taken_once_within_the_window(
        width in 0..200_u64,
        steps in prop::collection::vec(number(), 1..400),
    ) {
        let (mut numbers, mut naive) = (Numbers::new(width), Naive::default());
        let window = width.div_ceil(64).max(1) * 64;
        prop_assert_eq!(numbers.window(), window);
        for step in steps {
            let number = step.number(numbers.highest());
            let fresh = naive.is_fresh(number, window);
            prop_assert_eq!(numbers.is_fresh(number), fresh, "{}", number);
            prop_assert_eq!(numbers.take(number), fresh, "{}", number);
            prop_assert!(!numbers.is_fresh(number));
            if fresh {
                naive.used.insert(number);
            }
            let highest = naive.used.last().copied().unwrap_or(0);
            prop_assert_eq!(numbers.highest(), highest);
            for near in highest.saturating_sub(window + 2)..highest.saturating_add(2) {
                prop_assert_eq!(numbers.is_fresh(near), naive.is_fresh(near, window), "{}", near);
            }
        }
        prop_assert_eq!(&decode::<Numbers>(&encode(&numbers), 4096).unwrap(), &numbers);
    }

    #[test]
    fn the_newest_replies_that_fit_are_remembered(
        reply_bytes in 0..2_000_usize,
        largest in 1..300_usize,
        steps in prop::collection::vec((0..3_u32, number(), any::<prop::sample::Index>()), 1..200),
    ) {
        const WINDOW: u64 = 64;
        let mut clients = Clients::new(WINDOW, reply_bytes);
        let mut naive = BTreeMap::<NodeId, NaiveClient>::new();
        for (client, step, size) in steps {
            let client = NodeId(client);
            let model = naive.entry(client).or_default();
            let highest = model.numbers.used.last().copied().unwrap_or(0);
            let number = step.number(highest);
            let fresh = model.numbers.is_fresh(number, WINDOW);
            prop_assert_eq!(clients.is_fresh(client, number), fresh);
            if fresh {
                let reply = Bytes::from(vec![number as u8; size.index(largest)]);
                clients.executed(client, number, reply.clone());
                model.executed(number, reply, WINDOW, reply_bytes);
                prop_assert!(!clients.is_fresh(client, number));
            }
            for &number in &model.numbers.used {
                prop_assert_eq!(clients.reply(client, number), model.replies.get(&number));
            }
        }
        let mut restored = Clients::new(WINDOW, reply_bytes);
        restored.restore(&clients.encode()).unwrap();
        prop_assert_eq!(&restored, &clients);
        prop_assert_eq!(restored.encode(), clients.encode());
    }

    #[test]
    fn what_is_restored_from_any_bytes_can_be_used(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        real in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        number in any::<u64>(),
    ) {
        let mut clients = Clients::new(64, 100);
        if real {
            clients.executed(NodeId(4), 7, Bytes::from_static(b"reply"));
            bytes = clients.encode().to_vec();
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let before = clients.clone();
        if clients.restore(&bytes).is_ok() {
            prop_assert_eq!(&clients.encode()[..], &bytes[..], "another encoding of the same");
            for client in [NodeId(0), NodeId(4)] {
                if clients.is_fresh(client, number) {
                    clients.executed(client, number, Bytes::new());
                }
            }
        } else {
            prop_assert_eq!(clients, before);
        }
    }
}

#[test]
fn requests_of_one_client_are_executed_in_any_order_each_once() {
    let mut clients = Clients::new(64, 1 << 10);
    let client = NodeId(5);
    for number in [3, 1, 2, 64, 10] {
        assert!(clients.is_fresh(client, number));
        clients.executed(client, number, Bytes::from(number.to_string()));
        assert!(!clients.is_fresh(client, number));
    }
    assert_eq!(clients.reply(client, 2).unwrap(), "2");
    assert_eq!(clients.reply(client, 4), None);
    assert_eq!(clients.reply(NodeId(6), 2), None);
    // 65 pushes 1 out of the window, but nothing that was not executed.
    clients.executed(client, 65, Bytes::new());
    assert!(clients.is_fresh(client, 4));
    clients.executed(client, 68, Bytes::new());
    assert!(!clients.is_fresh(client, 4));
    assert!(clients.is_fresh(client, 5));
    assert!(clients.is_fresh(NodeId(6), 4));
}

#[test]
fn a_large_reply_pushes_the_others_out_and_stays() {
    let mut clients = Clients::new(64, 100);
    let client = NodeId(5);
    clients.executed(client, 1, Bytes::from_static(&[1; 30]));
    clients.executed(client, 2, Bytes::from_static(&[2; 30]));
    assert!(clients.reply(client, 1).is_some());
    clients.executed(client, 3, Bytes::from_static(&[3; 500]));
    assert_eq!(clients.reply(client, 3).unwrap().len(), 500);
    assert_eq!(clients.reply(client, 1), None);
    assert_eq!(clients.reply(client, 2), None);
    clients.executed(client, 4, Bytes::new());
    assert_eq!(clients.reply(client, 3), None);
    assert_eq!(clients.reply(client, 4), Some(&Bytes::new()));
}

/// The table is part of what replicas vote for at a checkpoint: its bytes may not change unnoticed.
#[test]
fn the_encoding_is_pinned() {
    let mut clients = Clients::new(64, 1 << 10);
    clients.executed(NodeId(5), 2, Bytes::from_static(b"two"));
    clients.executed(NodeId(5), 3, Bytes::new());
    clients.executed(NodeId(9), 1, Bytes::from_static(b"one"));
    #[rustfmt::skip]
    let expected: &[u8] = &[
        2, 0, 0, 0,                                         // two clients
        5, 0, 0, 0,                                         // client 5
        3, 0, 0, 0, 0, 0, 0, 0,                             // its highest number
        1, 0, 0, 0, 0b1100, 0, 0, 0, 0, 0, 0, 0,            // one word: 2 and 3 are used
        2, 0, 0, 0,                                         // two replies
        2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b't', b'w', b'o',
        3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        9, 0, 0, 0,                                         // client 9
        1, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 0b10, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0,
        1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'o', b'n', b'e',
    ];
    assert_eq!(&clients.encode()[..], expected);
}

#[test]
fn a_window_without_width_is_refused() {
    let mut clients = Clients::new(64, 100);
    let (words, replies) = (Vec::<u64>::new(), BTreeMap::<u64, Bytes>::new());
    let widthless = BTreeMap::from([(NodeId(1), (7_u64, words, replies))]);
    assert!(clients.restore(&encode(&widthless)).is_err());
    assert_eq!(clients, Clients::new(64, 100));
}
