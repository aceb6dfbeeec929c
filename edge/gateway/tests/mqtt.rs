//! The gateway on real sockets, with a Rust client that is not ours.

mod support;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_gateway::{Gateway, RECORDS, receipts_topic};
use hedgerow_proofs::Proof;
use hedgerow_records::{Algorithm, Record};
use hedgerow_signer::DeviceKey;
use hedgerow_wire::{decode, encode};
use rumqttc::{
    AsyncClient as OldClient, Event as OldEvent, MqttOptions as OldOptions, Packet as OldPacket,
    QoS as OldQos,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Packet, PubAckReason, PubRecReason},
        },
    },
};
use serde_json::Value;
use support::{Fake, config, device, hex_of, record, start, until};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn options(gateway: &Gateway, id: &str) -> MqttOptions {
    MqttOptions::new(id, "127.0.0.1", gateway.addresses().mqtt.unwrap().port())
}

/// The next packet for which `pick` gives something.
async fn next<T>(events: &mut EventLoop, mut pick: impl FnMut(&Packet) -> Option<T>) -> T {
    timeout(PATIENCE, async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.expect("the connection stands")
                && let Some(picked) = pick(&packet)
            {
                return picked;
            }
        }
    })
    .await
    .expect("it comes in time")
}

fn json(packet: &Packet) -> Option<Value> {
    match packet {
        Packet::Publish(publish) => serde_json::from_slice(&publish.payload).ok(),
        _ => None,
    }
}

async fn listen(client: &AsyncClient, events: &mut EventLoop, device: &DeviceKey) {
    client
        .subscribe(receipts_topic(device.device_id()), QoS::AtLeastOnce)
        .await
        .unwrap();
    next(events, |packet| {
        matches!(packet, Packet::SubAck(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_record_is_accepted_then_final_and_its_proof_holds() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    for (seed, algorithm) in [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1]
        .into_iter()
        .enumerate()
    {
        let key = device(algorithm, seed as u8 + 1);
        network.register(algorithm.as_str(), &key);
        let (client, mut events) = AsyncClient::new(options(&gateway, algorithm.as_str()), 16);
        listen(&client, &mut events, &key).await;
        client
            .publish(RECORDS, QoS::AtLeastOnce, false, record(&key, "air", 7))
            .await
            .unwrap();
        let (mut acked, mut accepted) = (false, false);
        let finale = next(&mut events, |packet| {
            if let Packet::PubAck(ack) = packet {
                assert_eq!(ack.reason, PubAckReason::Success);
                acked = true;
            }
            let message = json(packet)?;
            match message["status"].as_str().unwrap() {
                "accepted" => {
                    accepted = true;
                    None
                }
                _ => Some(message),
            }
        })
        .await;
        assert!(acked && accepted);
        assert_eq!(finale["status"], "final", "{finale}");
        assert_eq!(finale["stream"], format!("{algorithm}/air"));
        assert_eq!(
            (finale["sequence"].as_u64(), finale["appended"].as_u64()),
            (Some(7), Some(1))
        );
        let proof = STANDARD.decode(finale["proof"].as_str().unwrap()).unwrap();
        let proof: Proof = decode(&proof, hedgerow_proofs::MAX_PROOF).unwrap();
        let proved = proof.verify(&network.trust()).unwrap();
        assert_eq!(proved.reading.sequence, 7);
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn mqtt_3_with_qos_2_and_a_topic_of_the_device() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let key = device(Algorithm::P256, 1);
    network.register("meter", &key);
    let gateway = start(&config(), dir.path(), &network).await;
    let mut options = OldOptions::new(
        "meter",
        "127.0.0.1",
        gateway.addresses().mqtt.unwrap().port(),
    );
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut events) = OldClient::new(options, 16);
    client
        .subscribe(receipts_topic(key.device_id()), OldQos::ExactlyOnce)
        .await
        .unwrap();
    let topic = format!("{RECORDS}/{}", hex_of(key.device_id()));
    client
        .publish(&topic, OldQos::ExactlyOnce, false, record(&key, "power", 0))
        .await
        .unwrap();
    client
        .publish(&topic, OldQos::ExactlyOnce, false, &b"not a record"[..])
        .await
        .unwrap();
    let (mut completed, mut heard) = (0, Vec::new());
    timeout(PATIENCE, async {
        while completed < 2 || heard.len() < 3 {
            match events.poll().await.unwrap() {
                OldEvent::Incoming(OldPacket::PubComp(_)) => completed += 1,
                OldEvent::Incoming(OldPacket::Publish(publish)) => {
                    let message: Value = serde_json::from_slice(&publish.payload).unwrap();
                    heard.push(message["status"].as_str().unwrap().to_owned());
                }
                _ => {}
            }
        }
    })
    .await
    .unwrap();
    heard.sort();
    assert_eq!(heard, ["accepted", "final", "rejected"]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_and_changes_nothing() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let (known, stranger) = (device(Algorithm::Ed25519, 1), device(Algorithm::Ed25519, 2));
    network.register("known", &known);
    let gateway = start(&config(), dir.path(), &network).await;
    let (client, mut events) = AsyncClient::new(options(&gateway, "a"), 16);
    listen(&client, &mut events, &stranger).await;

    client
        .publish(RECORDS, QoS::AtLeastOnce, false, vec![1, 2, 3])
        .await
        .unwrap();
    let reason = next(&mut events, |packet| match packet {
        Packet::PubAck(ack) => Some((
            ack.reason,
            ack.properties.clone().unwrap().reason_string.unwrap(),
        )),
        _ => None,
    })
    .await;
    assert_eq!(reason.0, PubAckReason::PayloadFormatInvalid);
    assert!(reason.1.starts_with("malformed"), "{}", reason.1);

    client
        .publish(RECORDS, QoS::ExactlyOnce, false, vec![1, 2, 3])
        .await
        .unwrap();
    let reason = next(&mut events, |packet| match packet {
        Packet::PubRec(rec) => Some(rec.reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, PubRecReason::PayloadFormatInvalid);

    // Another device's topic.
    let topic = format!("{RECORDS}/{}", hex_of(known.device_id()));
    client
        .publish(topic, QoS::AtLeastOnce, false, record(&stranger, "air", 0))
        .await
        .unwrap();
    let reason = next(&mut events, |packet| match packet {
        Packet::PubAck(ack) => Some(ack.reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, PubAckReason::NotAuthorized);

    // A device that nobody registered: durable here, refused by the ledger.
    client
        .publish(
            RECORDS,
            QoS::AtLeastOnce,
            false,
            record(&stranger, "air", 0),
        )
        .await
        .unwrap();
    let message = next(&mut events, |packet| {
        json(packet).filter(|message| message["status"] == "rejected")
    })
    .await;
    assert_eq!(message["code"], "unknown-device", "{message}");

    // A record with another signature under it.
    let mut forged = record(&known, "air", 0);
    *forged.last_mut().unwrap() ^= 1;
    listen(&client, &mut events, &known).await;
    client
        .publish(RECORDS, QoS::AtLeastOnce, false, forged)
        .await
        .unwrap();
    let message = next(&mut events, |packet| {
        json(packet).filter(|message| message["status"] == "rejected")
    })
    .await;
    assert_eq!(message["code"], "bad-signature", "{message}");
    assert_eq!(network.length("known/air"), 0);
    gateway.shutdown().await;
}

/// Retries in any order, across a restart that loses everything but the disk: each reading is there once.
#[tokio::test]
async fn what_was_acknowledged_survives_a_restart_exactly_once() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    network.stall(true);
    let gateway = start(&config(), dir.path(), &network).await;
    let (client, mut events) = AsyncClient::new(options(&gateway, "a"), 256);
    for sequence in 0..50 {
        client
            .publish(
                RECORDS,
                QoS::AtLeastOnce,
                false,
                record(&key, "power", sequence),
            )
            .await
            .unwrap();
    }
    let mut acked = 0;
    next(&mut events, |packet| {
        acked += usize::from(matches!(packet, Packet::PubAck(_)));
        (acked == 50).then_some(())
    })
    .await;
    assert_eq!(gateway.backlog().0, 50);
    drop((client, events));
    drop(gateway); // no good-bye: tasks are cut off where they are
    network.stall(false);
    let gateway = start(&config(), dir.path(), &network).await;
    until("the backlog to become final", || {
        network.length("meter/power") == 50
    })
    .await;
    let (client, mut events) = AsyncClient::new(options(&gateway, "a"), 256);
    listen(&client, &mut events, &key).await;
    client
        .publish(RECORDS, QoS::AtLeastOnce, false, record(&key, "power", 20))
        .await
        .unwrap();
    let message = next(&mut events, |packet| {
        json(packet).filter(|message| message["status"] == "final")
    })
    .await;
    assert_eq!(
        (message["appended"].as_u64(), message["duplicates"].as_u64()),
        (Some(0), Some(1))
    );
    assert_eq!(network.length("meter/power"), 50);
    until("the spool to be empty", || gateway.backlog().0 == 0).await;
    gateway.shutdown().await;
}

/// The network stalls: the gateway takes records up to its budget, then says that it is full, and goes on after.
#[tokio::test]
async fn a_full_store_pushes_back() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    network.stall(true);
    let mut config = config();
    config.spool.budget_bytes = 2 << 20;
    let gateway = start(&config, dir.path(), &network).await;
    let (client, mut events) = AsyncClient::new(options(&gateway, "a"), 16);
    // Large readings, so that it is quick.
    let large = |sequence| {
        let name = "power".parse().unwrap();
        let mut builder =
            hedgerow_signer::RecordBuilder::new(support::NETWORK, key.device_id(), name);
        let payload = vec![7; 60_000];
        builder
            .push(
                hedgerow_signer::reading(sequence, 0, "application/octet-stream", &payload)
                    .unwrap(),
            )
            .unwrap();
        builder.sign(&key).unwrap()
    };
    let (mut taken, mut sequence) = (0, 0);
    let text = loop {
        client
            .publish(RECORDS, QoS::AtLeastOnce, false, large(sequence))
            .await
            .unwrap();
        sequence += 1;
        let ack = next(&mut events, |packet| match packet {
            Packet::PubAck(ack) => Some(ack.clone()),
            _ => None,
        })
        .await;
        match ack.reason {
            PubAckReason::Success => taken += 1,
            PubAckReason::QuotaExceeded => break ack.properties.unwrap().reason_string.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert!(
        text.contains("full") && text.contains("spool.budget_bytes"),
        "{text}"
    );
    assert!((30..=35).contains(&taken), "{taken}");

    // An MQTT 3.1.1 client is disconnected without an acknowledgement, and so keeps its record.
    let old = OldOptions::new("old", "127.0.0.1", gateway.addresses().mqtt.unwrap().port());
    let (old_client, mut old_events) = {
        let mut old = old;
        old.set_max_packet_size(1 << 20, 1 << 20);
        OldClient::new(old, 16)
    };
    old_client
        .publish(RECORDS, OldQos::AtLeastOnce, false, large(1000))
        .await
        .unwrap();
    timeout(PATIENCE, async {
        loop {
            match old_events.poll().await {
                Ok(OldEvent::Incoming(OldPacket::PubAck(_))) => {
                    panic!("acknowledged, but not durable")
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    })
    .await
    .unwrap();
    drop((old_client, old_events));

    network.stall(false);
    until("all that was acknowledged to be final", || {
        network.length("meter/power") == taken
    })
    .await;
    until("the store to be empty", || gateway.backlog().0 == 0).await;
    client
        .publish(RECORDS, QoS::AtLeastOnce, false, record(&key, "air", 0))
        .await
        .unwrap();
    let reason = next(&mut events, |packet| match packet {
        Packet::PubAck(ack) => Some(ack.reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, PubAckReason::Success);
    gateway.shutdown().await;
}

/// Bundles grow with what has gathered: many records take few requests.
#[tokio::test]
async fn records_are_bundled() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    network.stall(true);
    let gateway = start(&config(), dir.path(), &network).await;
    let (client, mut events) = AsyncClient::new(options(&gateway, "a"), 2048);
    for sequence in 0..1000 {
        client
            .publish(
                RECORDS,
                QoS::AtLeastOnce,
                false,
                record(&key, "power", sequence),
            )
            .await
            .unwrap();
    }
    let mut acked = 0;
    next(&mut events, |packet| {
        acked += usize::from(matches!(packet, Packet::PubAck(_)));
        (acked == 1000).then_some(())
    })
    .await;
    network.stall(false);
    until("all to be final", || network.length("meter/power") == 1000).await;
    let requests = network.requests.load(std::sync::atomic::Ordering::SeqCst);
    assert!(requests < 100, "{requests} requests");
    gateway.shutdown().await;
}

/// Nothing but records goes through the door; clients can use the broker among themselves.
#[tokio::test]
async fn it_is_a_broker_too() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let mut first = options(&gateway, "first");
    first.set_last_will(rumqttc::v5::mqttbytes::v5::LastWill::new(
        "plant/first",
        "gone",
        QoS::AtLeastOnce,
        true,
        None,
    ));
    let (client, mut events) = AsyncClient::new(first, 16);
    client
        .publish("plant/state", QoS::AtLeastOnce, true, "on")
        .await
        .unwrap();
    next(&mut events, |packet| {
        matches!(packet, Packet::PubAck(_)).then_some(())
    })
    .await;
    drop((client, events)); // without DISCONNECT
    let (client, mut events) = AsyncClient::new(options(&gateway, "second"), 16);
    client.subscribe("plant/#", QoS::AtLeastOnce).await.unwrap();
    let mut heard = Vec::new();
    next(&mut events, |packet| {
        if let Packet::Publish(publish) = packet {
            heard.push(String::from_utf8_lossy(&publish.payload).into_owned());
        }
        (heard.len() == 2).then_some(())
    })
    .await;
    heard.sort();
    assert_eq!(heard, ["gone", "on"]);
    gateway.shutdown().await;
}

fn certificate(
    name: &str,
    algorithm: &'static rcgen::SignatureAlgorithm,
    issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
) -> (String, rcgen::KeyPair, rcgen::CertificateParams) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let pem = match issuer {
        None => {
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            parameters.self_signed(&key).unwrap().pem()
        }
        Some(issuer) => parameters.signed_by(&key, issuer).unwrap().pem(),
    };
    (pem, key, parameters)
}

#[tokio::test]
async fn tls_with_client_certificates_of_devices() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let (ca_pem, ca_key, ca) = certificate("authority", &rcgen::PKCS_ECDSA_P256_SHA256, None);
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let (server_pem, server_key, _) = certificate("localhost", &rcgen::PKCS_ED25519, Some(&issuer));
    for (name, text) in [
        ("ca.pem", &ca_pem),
        ("server.pem", &server_pem),
        ("server.key", &server_key.serialize_pem()),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut config = config();
    config.mqtt.listen = None;
    config.mqtt.listen_tls = Some(([127, 0, 0, 1], 0).into());
    config.mqtt.client_is_device = true;
    config.mqtt.tls = Some(hedgerow_gateway::TlsConfig {
        certificate: dir.path().join("server.pem"),
        key: dir.path().join("server.key"),
        client_ca: Some(dir.path().join("ca.pem")),
        require_client_certificate: true,
    });
    let gateway = start(&config, dir.path(), &network).await;
    let port = gateway.addresses().mqtt_tls.unwrap().port();
    let connect = |id: &str, identity: Option<(&str, &rcgen::KeyPair)>| {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
            .unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
        let client = match identity {
            None => builder.with_no_client_auth(),
            Some((pem, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap(),
        };
        let mut options = MqttOptions::new(id, "localhost", port);
        options.set_transport(rumqttc::Transport::Tls(rumqttc::TlsConfiguration::Rustls(
            Arc::new(client),
        )));
        AsyncClient::new(options, 16)
    };

    for (name, algorithm, device_algorithm) in [
        ("p256", &rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::P256),
        ("ed25519", &rcgen::PKCS_ED25519, Algorithm::Ed25519),
    ] {
        let (pem, key, _) = certificate(name, algorithm, Some(&issuer));
        // The device's key in the form that devices have it.
        let public = match device_algorithm {
            Algorithm::P256 => {
                let point = key.public_key_raw();
                [&[2 + (point[64] & 1)][..], &point[1..33]].concat()
            }
            _ => key.public_key_raw().to_vec(),
        };
        let device = hedgerow_records::DevicePublicKey::new(device_algorithm, &public)
            .unwrap()
            .device_id();
        let (client, mut events) = connect(name, Some((&pem, &key)));
        client
            .subscribe(receipts_topic(device), QoS::AtLeastOnce)
            .await
            .unwrap();
        client
            .subscribe("hedgerow/v1/receipts/+", QoS::AtLeastOnce)
            .await
            .unwrap();
        let mut codes = Vec::new();
        next(&mut events, |packet| {
            if let Packet::SubAck(ack) = packet {
                codes.push(format!("{:?}", ack.return_codes));
            }
            (codes.len() == 2).then_some(())
        })
        .await;
        assert_eq!(codes, ["[Success(AtLeastOnce)]", "[NotAuthorized]"]);
    }
    // No certificate, or one that nobody we trust has signed.
    let (other_pem, other_key, _) = certificate("other", &rcgen::PKCS_ECDSA_P256_SHA256, None);
    for identity in [None, Some((other_pem.as_str(), &other_key))] {
        let (_client, mut events) = connect("x", identity);
        let refused = timeout(PATIENCE, async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => return false,
                    Ok(_) => {}
                    Err(_) => return true,
                }
            }
        });
        assert!(refused.await.unwrap());
    }
    gateway.shutdown().await;
}

/// The record's encoding is what the tests' signer makes of it, byte for byte.
#[test]
fn records_are_canonical() {
    let key = device(Algorithm::Ed25519, 1);
    let signed = hedgerow_records::SignedRecord::from_bytes(&record(&key, "air", 3)).unwrap();
    let body: Record = signed.record().unwrap();
    assert_eq!(encode(&body), signed.body.to_vec());
}
