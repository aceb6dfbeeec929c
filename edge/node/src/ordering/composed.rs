use hedgerow_abstract::{Abstract, AbstractCodec, Client, Composition, Config, Record, Replica};

use super::{Built, OrderingError, Role, Running, Setup, drive, open_log};

/// Starts a participant of a composition of Abstract's instances.
pub(super) fn start(
    composition: Composition,
    setup: Setup,
    exited: Box<dyn FnOnce() + Send>,
) -> Result<Running, OrderingError> {
    let config = config(composition, &setup);
    let (journal, records) = open_log(&setup.role, |bytes| {
        Record::decode(bytes).map_err(|error| error.to_string())
    })?;
    let keyring = setup.keyring.clone();
    let refused = |error: &dyn std::fmt::Display| OrderingError::Recover(error.to_string());
    let machine: Box<dyn hedgerow_machine::Machine<Abstract>> = match &setup.role {
        Role::Replica { executed, .. } => {
            let replica = Replica::recover(config, keyring.clone(), records, *executed);
            Box::new(replica.map_err(|error| refused(&error))?)
        }
        Role::Client => {
            let client = Client::new(config, keyring.clone());
            Box::new(client.map_err(|error| refused(&error))?)
        }
    };
    let built = Built {
        machine,
        codec: std::sync::Arc::new(AbstractCodec::new(keyring)),
        encode: |record: &Record| record.encode().into(),
    };
    drive(built, journal, setup, exited)
}

/// The time-outs are the same share of the configured ones as in the usual configuration: a request may take its time-out
/// in a Chain of seven, and less in everything else.
fn config(composition: Composition, setup: &Setup) -> Config {
    let usual = Config::of(composition);
    let request = setup.timeouts.request_timeout();
    let inner = hedgerow_pbft::Config {
        timeout: request,
        timeout_max: setup.timeouts.max_timeout(),
        client_retry: setup.timeouts.retransmit(),
        ..usual.backup
    };
    Config {
        checkpoint_interval: setup.agreed.checkpoint_interval.min(usual.history / 2),
        delta: request / 10,
        checkpoint_timeout: request,
        backup: inner,
        ..usual
    }
}
