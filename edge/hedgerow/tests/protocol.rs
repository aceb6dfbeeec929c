//! Votes for another ordering protocol, from the command line through a real gateway to a real ledger.

mod common;
mod network;

use common::{good, json_of};
use hedgerow_chain::{Answer, Query};
use hedgerow_records::proposal_id;
use network::{Network, support};
use serde_json::json;

/// The identifier of a proposal.
fn id(network: &Network, epoch: u64, protocol: &str) -> String {
    let genesis = network.ledger.ledger().genesis().digest();
    proposal_id(&genesis, epoch, protocol).to_hex()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_is_proposed_approved_and_decided_on_the_devnet() {
    let network = Network::start("protocol", "devnet").await;
    let (id, chain) = (id(&network, 0, "aliph"), id(&network, 0, "chain"));
    let said = network.good(&[]);
    assert!(
        said.contains(
            "pbft, view 0, since the start of this node\nepoch 0: pbft, since the genesis (20"
        ) && said.ends_with("No proposal is open.\n"),
        "{said}"
    );

    let said = network.good(&["propose", "aliph"]);
    let approve = format!("they approve with: hedgerow protocol approve {}", &id[..8]);
    assert_eq!(
        lines(&said),
        [
            "validator-0 votes for aliph: 1 of 3 votes; still needed: 2 of validator-1, validator-2, validator-3",
            &approve,
        ]
    );
    // Again, by the same one: it counts once.
    let first = [
        "propose",
        "aliph",
        "--member",
        "devnet/validator-0/node.toml",
    ];
    let said = network.good(&first);
    assert!(said.contains("1 of 3 votes"), "{said}");
    network.good(&[
        "propose",
        "chain",
        "--member",
        "devnet/validator-3/node.toml",
    ]);

    let told = json_of(&network.good(&["approve", &id[..8], "--json"]));
    for (field, value) in [
        ("status", json!("final")),
        ("validator", json!("validator-1")),
        ("proposal", json!(format!("0x{id}"))),
        ("protocol", json!("aliph")),
        ("epoch", json!(0)),
        ("votes", json!(2)),
        ("needed", json!(3)),
        ("missing", json!(1)),
        ("began", json!(null)),
        ("others", json!(["validator-2", "validator-3"])),
    ] {
        assert_eq!(told[field], value, "{field} of {told}");
    }
    let told = json_of(&network.good(&["--json"]));
    assert_eq!(
        (&told["consensus"], &told["epoch"]["number"]),
        (&"pbft".into(), &0.into())
    );
    assert_eq!(told["proposals"][0]["id"], format!("0x{id}"));
    let said = network.good(&[]);
    let row = format!(
        "{}  aliph     2 of 3        1  validator-0, validator-1",
        &id[..8]
    );
    assert!(said.contains(&row), "{said}");

    // Any form of the identifier will do, and any validator.
    let whole = format!("0x{}", id.to_uppercase());
    let last = [
        "approve",
        &whole,
        "--member",
        "devnet/validator-3/node.toml",
    ];
    let said = network.good(&last);
    let block = network.ledger.ledger().head().header.height;
    assert_eq!(
        said,
        format!("decided at block {block}: aliph from here on\n")
    );

    let said = network.good(&[]);
    assert!(
        said.contains(&format!("epoch 1: aliph, since block {block} (20"))
            && said.ends_with("No proposal is open.\n"),
        "{said}"
    );
    let said = network.bad(2, &["approve", &id[..8]]);
    assert!(
        said.contains(&format!(
            "this has been decided: epoch 1: aliph, since block {block}"
        )),
        "{said}"
    );
    let said = network.bad(2, &["approve", &chain[..6]]);
    assert!(
        said.contains("the proposal of chain has lapsed with epoch 0")
            && said.contains("epoch 1: aliph, since block"),
        "{said}"
    );
    let said = network.bad(2, &["propose", "aliph"]);
    assert!(
        said.contains("aliph orders already (epoch 1: aliph"),
        "{said}"
    );
    let said = network.good(&["propose", "pbft"]);
    assert!(
        said.contains("validator-0 votes for pbft: 1 of 3"),
        "{said}"
    );
    network.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_voted_for_is_refused_with_the_mend() {
    let network = Network::start("protocol", "orchard").await;
    let member = "orchard/validator-1/node.toml";
    let cases: [(&[&str], &str); 9] = [
        (
            &["propose", "paxos", "--member", member],
            "\"paxos\" is not an ordering protocol of this version; it has: pbft, ",
        ),
        (
            &["propose", "pbft", "--member", member],
            "pbft orders already (epoch 0: pbft, since the genesis",
        ),
        (
            &["propose", "aliph"],
            "--member: missing; a validator votes: name its config",
        ),
        (
            &["propose", "aliph", "--member", "none/node.toml"],
            "none/node.toml",
        ),
        (
            &[
                "propose",
                "aliph",
                "--member",
                "orchard/gateway-0/node.toml",
            ],
            "gateway-0 is a gateway, and only validators vote",
        ),
        (
            &["approve", "3f9a1c02", "--member", member],
            "3f9a1c02: no open proposal begins so in epoch 0: pbft",
        ),
        (
            &["approve", "3f9", "--member", member],
            "named by 4 to 64 hexadecimal digits",
        ),
        (
            &["approve", "aliph", "--member", member],
            "named by 4 to 64 hexadecimal digits",
        ),
        (
            &["approve", &"0".repeat(65), "--member", member],
            "named by 4 to 64 hexadecimal digits",
        ),
    ];
    for (arguments, expected) in cases {
        let said = network.bad(2, arguments);
        assert!(
            said.contains(expected),
            "{said:?} does not say {expected:?}"
        );
    }
    assert_eq!(
        network.ledger.ledger().head().header.height.0,
        0,
        "a vote was sent"
    );

    // In its own folder a validator needs no option.
    let own = network.dir.path().join("orchard/validator-2");
    let said = good(&own, &network.arguments(&["propose", "aliph"]));
    assert!(said.contains("validator-2 votes for aliph"), "{said}");

    // A vote of another network is the ledger's to refuse; a proposal of another one is noticed before.
    good(network.dir.path(), &["init", "--dir", "other"]);
    let other = "other/validator-0/node.toml";
    let told = json_of(&network.bad(1, &["propose", "chain", "--member", other, "--json"]));
    assert_eq!(
        (&told["status"], &told["code"]),
        (&"rejected".into(), &"wrong-genesis".into())
    );
    let id = id(&network, 0, "aliph");
    let said = network.bad(2, &["approve", &id[..8], "--member", other]);
    assert!(
        said.contains("for another network than validator-0's"),
        "{said}"
    );
    network.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_is_not_final_yet_is_said_to_be_at_the_gateway() {
    let mut config = support::config();
    config.http.final_timeout_s = 1;
    let network = Network::start_with("protocol", "devnet", &config).await;
    network.ledger.stall(true);
    let told = json_of(&network.bad(1, &["propose", "aliph", "--json"]));
    let id = id(&network, 0, "aliph");
    assert_eq!(
        (&told["status"], &told["proposal"]),
        (&"accepted".into(), &format!("0x{id}").into())
    );
    let said = network.bad(1, &["propose", "aliph"]);
    assert!(
        said.contains("validator-0's vote will be counted when the network goes on"),
        "{said}"
    );
    network.ledger.stall(false);
    support::until("the vote to be counted", || {
        let order = network.ledger.ledger().query(&Query::Protocol).unwrap();
        matches!(order, Answer::Protocol(order) if order.proposals.len() == 1)
    })
    .await;
    network.gateway.shutdown().await;
}
