//! Records of Abstract's log: what is read is written again as it was, and a replica is built from it or refused.

use std::sync::Arc;

use hedgerow_abstract::{Composition, Config, Instance, Point, Record, Replica};
use hedgerow_base::{Lsn, Slot};
use hedgerow_ordering::Batch;

use crate::members::keyrings;

pub(crate) fn run(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data, "a second encoding was accepted");
        let config = Config::of(Composition::AZYZZYVA);
        let _ = Replica::recover(
            config,
            Arc::clone(&keyrings()[1]),
            [(Lsn(1), record)],
            Slot::ZERO,
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let batch = Batch {
        slot: Slot(1),
        time_ms: 7,
        operations: Vec::new().into(),
    };
    let records = [
        Record::Logged(batch),
        Record::Stopped(Instance(1)),
        Record::Truncated(Slot(0)),
        Record::Begun(Slot(1)),
        Record::Stable {
            at: Point::default(),
            clients: Default::default(),
        },
        Record::Silent {
            below: Instance(2),
            mute: Instance(1),
        },
    ];
    let plain = records.iter().map(|record| record.encode().to_vec());
    plain
        .chain((0..9).map(|kind| [vec![kind], vec![0; 80]].concat()))
        .collect()
}
