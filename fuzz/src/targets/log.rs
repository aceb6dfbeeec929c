//! What a replica reads back from its own log: a damaged disk may have changed it.

use hedgerow_base::{Digest, Lsn, Slot, View};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_pbft::{Body, PrePrepare, Prepare, Record, Request};

use crate::members::keyrings;

pub(crate) fn run(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data, "a second encoding was accepted");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let request = Request {
        number: 1,
        operation: b"operation".as_slice().into(),
    };
    let body = Body::new(
        5,
        vec![Sealed::new(request, Sealing::Authenticator, &keyrings()[4])],
    );
    let (view, slot, digest, lsn) = (View(0), Slot(1), body.digest(), Lsn(1));
    let pre_prepare = PrePrepare {
        view,
        slot,
        digest,
        lsn,
    };
    let prepare = Prepare {
        view,
        slot,
        digest,
        lsn,
    };
    let records = [
        Record::Accepted {
            view,
            slot,
            digest,
            decided: Slot(0),
            pre_prepare: Some(Sealed::new(
                pre_prepare,
                Sealing::Authenticator,
                &keyrings()[0],
            )),
            body: Some(body.into()),
        },
        Record::Prepared {
            view,
            slot,
            digest,
            decided: Slot(0),
            prepares: vec![Sealed::new(prepare, Sealing::Authenticator, &keyrings()[1])],
        },
        Record::Decided {
            slot,
            batch: b"batch".as_slice().into(),
            proposal: Some(digest),
        },
        Record::Stable {
            slot,
            certificate: vec![],
            clients: b"clients".as_slice().into(),
            state: Digest::ZERO,
        },
        Record::Rejoining {
            slot,
            view,
            base: lsn,
        },
        Record::Rejoined,
        Record::Reached(Slot(128)),
    ];
    records
        .iter()
        .map(|record| record.encode().to_vec())
        .collect()
}
