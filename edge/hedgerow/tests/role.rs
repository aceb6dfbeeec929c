//! Votes on roles, from the command line through a real gateway to a real ledger.

mod common;
mod network;

use common::{good, json_of};
use hedgerow_crypto::VerifyingKey;
use hedgerow_records::{Motion, Roles, Subject};
use network::Network;
use serde_json::json;

fn id(network: &Network, subject: Subject, round: u64, roles: Roles) -> String {
    let motion = Motion {
        subject,
        round,
        roles,
    };
    let genesis = network.ledger.ledger().genesis().digest();
    motion.id(&genesis).to_hex()
}

fn member(network: &Network, name: &str) -> Subject {
    let ledger = network.ledger.ledger();
    let genesis = ledger.genesis();
    let mut members = genesis.validators.iter().chain(&genesis.gateways);
    let found = members.find(|member| member.name == name).unwrap();
    Subject::of_member(&VerifyingKey(found.key))
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_moved_approved_and_decided_on_the_devnet() {
    let network = Network::start("role", "devnet").await;
    let said = network.good(&[]);
    for (who, roles) in [
        ("everyone", "call,deploy,subscribe"),
        ("gateway-0", "register,gateway"),
        ("validator-3", "register,gateway,validate"),
    ] {
        let row = |line: &str| line.split_whitespace().eq([who, roles]);
        assert!(said.lines().any(row), "{who}: {said}");
    }
    assert!(said.ends_with("No motion is open.\n"), "{said}");

    let first = id(&network, Subject::EVERYONE, 0, Roles::CALL);
    let said = network.good(&["propose", "everyone", "call"]);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "validator-0 votes for it: that everyone have the roles call; 1 of 3 votes; still needed: 2 of validator-1, \
             validator-2, validator-3",
            &format!("they approve with: hedgerow role approve {}", &first[..8]),
        ]
    );
    let told = json_of(&network.good(&["approve", &first[..6], "--json"]));
    for (field, value) in [
        ("status", json!("final")),
        ("validator", json!("validator-1")),
        ("motion", json!(format!("0x{first}"))),
        ("who", json!("everyone")),
        ("roles", json!(["call"])),
        ("votes", json!(2)),
        ("missing", json!(1)),
        ("decided", json!(false)),
        ("others", json!(["validator-2", "validator-3"])),
    ] {
        assert_eq!(told[field], value, "{field} of {told}");
    }
    let said = network.good(&[]);
    assert!(
        said.contains("everyone  call,deploy,subscribe  call   2 of 3  validator-0, validator-1"),
        "{said}"
    );
    // One of them thinks again, and again.
    let withdraw = [
        "withdraw",
        &first[..8],
        "--member",
        "devnet/validator-1/node.toml",
    ];
    let said = network.good(&withdraw);
    assert!(
        said.starts_with("validator-1 takes its vote back; 1 are left"),
        "{said}"
    );
    let said = network.bad(1, &withdraw);
    assert!(said.contains("no vote to be taken back"), "{said}");
    network.good(&["approve", &first[..8]]);
    let said = network.good(&["approve", &first[..8]]);
    let block = network.ledger.ledger().head().header.height;
    assert_eq!(
        said,
        format!(
            "decided at block {block}, from the next one on: that everyone have the roles call\n"
        )
    );
    let said = network.bad(2, &["approve", &first[..8]]);
    assert!(said.contains("no open motion"), "{said}");
    let said = network.bad(2, &["propose", "everyone", "call"]);
    assert!(
        said.contains("everyone has exactly these roles already: call"),
        "{said}"
    );

    // The next round about the same has other identifiers.
    let second = id(&network, Subject::EVERYONE, 1, Roles::NONE);
    let told = json_of(&network.good(&["propose", "everyone", "none", "--json"]));
    assert_eq!(told["motion"], json!(format!("0x{second}")));
    network.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_accounts_are_named_and_mistakes_are_said() {
    let network = Network::start("role", "devnet").await;
    let gateway = member(&network, "gateway-0");
    let motion = id(&network, gateway, 0, Roles::GATEWAY);
    let told = json_of(&network.good(&["propose", "gateway-0", "gateway", "--json"]));
    assert_eq!(told["motion"], json!(format!("0x{motion}")));
    assert_eq!(told["who"], "gateway-0");
    let account = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    let told = json_of(&network.good(&["propose", account, "deploy,register", "--json"]));
    assert_eq!(told["who"], account);
    assert_eq!(told["roles"], json!(["deploy", "register"]));
    for (code, arguments, expected) in [
        (
            2,
            vec!["propose", "nobody", "call"],
            "neither everyone, nor a member",
        ),
        (
            2,
            vec!["propose", "everyone", "admin"],
            "`admin` is not a role",
        ),
        (2, vec!["approve", "12"], "4 to 64 hexadecimal digits"),
        (2, vec!["approve", "00000000"], "no open motion"),
        (
            1,
            vec!["propose", account, "validate"],
            "genesis' validators stay",
        ),
        (
            2,
            vec![
                "propose",
                account,
                "call",
                "--member",
                "devnet/gateway-0/node.toml",
            ],
            "only validators vote",
        ),
    ] {
        let said = network.bad(code, &arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let help = good(network.dir.path(), &["role", "propose", "--help"]);
    assert!(help.contains("Examples:"), "{help}");
    network.gateway.shutdown().await;
}
