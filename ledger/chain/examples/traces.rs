//! What traces cost a validator: of calls that spend all the gas that there is, in several ways, with each tracer; and of
//! the last transaction of a full block, which is executed again for it. One thread.
//!
//!     cargo run --release -p hedgerow-chain --example traces

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use accounts::{Signer, counter, deploying, plain, spinner};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, hex};
use common::{genesis, run};
use hedgerow_base::Height;
use hedgerow_chain::{CallRequest, ContractAnswer, ContractQuery, Ledger, Tracer};
use hedgerow_kv::MemoryStore;

const MOST: u64 = 1 << 24;

const fn steps(limit: u64) -> Tracer {
    Tracer::Steps {
        disable_stack: false,
        disable_storage: false,
        enable_memory: true,
        enable_return_data: true,
        limit,
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn ask(ledger: &Ledger<MemoryStore>, what: &str, query: &ContractQuery) {
    let start = Instant::now();
    let mut moment = ledger.moment(query).unwrap();
    let answer = moment.answer(query, ledger.store()).unwrap();
    let took = start.elapsed();
    let said = match answer {
        ContractAnswer::Trace(json) => format!("{} bytes", json.len()),
        ContractAnswer::TooLarge(_) => "too large".to_owned(),
        ContractAnswer::Called { .. } => "done".to_owned(),
        other => format!("{other:?}"),
    };
    println!("{what:40} {:8.1} ms  {said}", took.as_secs_f64() * 1e3);
}

fn main() {
    let mut ledger = Ledger::open(MemoryStore::new(), genesis()).unwrap();
    let ann = Signer::new(0);
    let codes: [(&str, Vec<u8>); 4] = [
        ("a loop", spinner()),
        // Calls itself until a 64th of the gas is too little.
        ("nested calls", hex!("5f5f5f5f5f305af15000").to_vec()),
        // STATICCALL of the identity contract, again and again, with 1 KiB of input.
        ("many calls", hex!("5b5f5f6104005f60045afa505f56").to_vec()),
        ("slots", hex!("5f5b80545060010160015600").to_vec()),
    ];
    let creations = (0..).zip(codes.iter().map(|(_, code)| code));
    let creations: Vec<_> = creations
        .map(|(nonce, code)| ann.send(nonce, TxKind::Create, 0, &deploying(code)))
        .collect();
    run(&mut ledger, creations);
    let tracers = [
        (
            "callTracer",
            Tracer::Calls {
                only_top_call: false,
                with_log: true,
            },
        ),
        (
            "onlyTopCall",
            Tracer::Calls {
                only_top_call: true,
                with_log: true,
            },
        ),
        (
            "prestateTracer",
            Tracer::Prestate {
                diff_mode: false,
                disable_code: false,
                disable_storage: false,
            },
        ),
        ("steps", steps(0)),
        ("1,000 steps", steps(1_000)),
    ];
    for (nonce, (name, _)) in (0..).zip(&codes) {
        let contract = ann.address().create(nonce);
        let height = Height(1);
        let call = CallRequest {
            to: Some(contract.0.0),
            gas: MOST,
            ..CallRequest::default()
        };
        let query = ContractQuery::Call {
            height,
            call: call.clone(),
        };
        ask(&ledger, &format!("{name}: eth_call"), &query);
        for (tracer_name, tracer) in tracers {
            let call = call.clone();
            let query = ContractQuery::TraceCall {
                height,
                call,
                tracer,
            };
            ask(&ledger, &format!("{name}: {tracer_name}"), &query);
        }
    }
    // A full block: loops, and one more transaction.
    let spin = |nonce, gas_limit| {
        let to = TxKind::Call(ann.address().create(0));
        ann.sign(TxEip1559 {
            gas_limit,
            ..plain(nonce, to, 0, &[])
        })
    };
    let mut block: Vec<_> = (4..9).map(|nonce| spin(nonce, MOST)).collect();
    block.push(ann.send(9, TxKind::Create, 0, &deploying(&counter())));
    block.push(ann.send(10, TxKind::Call(Address::ZERO), 0, &[]));
    run(&mut ledger, block);
    for (name, tracer) in tracers {
        let query = ContractQuery::TraceTransaction {
            height: Height(2),
            position: 6,
            tracer,
        };
        ask(
            &ledger,
            &format!("the last of a full block: {name}"),
            &query,
        );
    }
}
