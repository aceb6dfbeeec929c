//! Questions to the ledger and its answers.

use hedgerow_base::{Digest, Height, NodeId, Slot};
use hedgerow_chain::{Answer, DeviceRef, EpochSummary, ProposalSummary, ProtocolSummary, Query};
use hedgerow_records::{ContentType, Payload, Reading};
use hedgerow_wire::{List, Text, encode};

use super::{canonical, records::device_name};

pub(crate) fn run(data: &[u8]) {
    canonical::<Query>(data);
    if let Ok(answer) = Answer::from_bytes(data) {
        assert_eq!(answer.to_bytes(), data, "a second encoding was accepted");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stream: hedgerow_records::StreamName = "device-0/temperature".parse().expect("a name");
    let reading = hedgerow_chain::RecordedReading {
        reading: Reading {
            sequence: 1,
            time: 2,
            content_type: ContentType::new("text/plain").expect("short"),
            payload: Payload::new(b"hello".to_vec()).expect("short"),
        },
        position: 0,
        height: Height(3),
        block_time: 4,
        record: Digest::ZERO,
    };
    let protocol = ProtocolSummary {
        epochs: List::new(vec![EpochSummary {
            number: 0,
            protocol: "pbft".parse().expect("a name"),
            base: Slot::ZERO,
            height: Height::ZERO,
            time: 5,
        }])
        .expect("one"),
        proposals: List::new(vec![ProposalSummary {
            id: Digest::ZERO,
            protocol: "aliph".parse().expect("a name"),
            voters: [NodeId(0), NodeId(2)].into_iter().collect(),
        }])
        .expect("one"),
        needed: 3,
    };
    vec![
        encode(&Query::Protocol),
        Answer::Protocol(protocol).to_bytes(),
        encode(&Query::Head),
        encode(&Query::Block(Height(7))),
        encode(&Query::Device(DeviceRef::Name(device_name(0)))),
        encode(&Query::Range {
            stream: stream.clone(),
            from: 1,
            limit: 10,
        }),
        encode(&Query::Prove {
            stream,
            sequence: 1,
        }),
        Answer::Reading(reading).to_bytes(),
        Answer::NotFound(Text::new("there is no such stream").expect("short")).to_bytes(),
        Answer::NotYetFinal {
            certified: Height(1),
        }
        .to_bytes(),
        Answer::Malformed.to_bytes(),
    ]
}
