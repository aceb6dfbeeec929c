use hedgerow_base::Slot;
use hedgerow_pbft::{Client, Config, Pbft, PbftCodec, Record, Replica};

use super::{Built, OrderingError, Role, Running, Setup, drive, open_log};

/// Starts a participant of PBFT.
pub(super) fn start(
    setup: Setup,
    exited: Box<dyn FnOnce() + Send>,
) -> Result<Running, OrderingError> {
    let config = Config {
        checkpoint_interval: setup.agreed.checkpoint_interval,
        timeout: setup.timeouts.request_timeout(),
        timeout_max: setup.timeouts.max_timeout(),
        client_retry: setup.timeouts.retransmit(),
        ..Config::default()
    };
    let (journal, records) = open_log(&setup.role, |bytes| {
        Record::decode(bytes).map_err(|error| error.to_string())
    })?;
    let keyring = setup.keyring.clone();
    let refused = |error: &dyn std::fmt::Display| OrderingError::Recover(error.to_string());
    let machine: Box<dyn hedgerow_machine::Machine<Pbft>> = match &setup.role {
        Role::Replica { executed, .. } => {
            let executed: Slot = *executed;
            let replica = Replica::recover(config, keyring.clone(), records, executed);
            Box::new(replica.map_err(|error| refused(&error))?)
        }
        Role::Client => {
            let client = Client::new(config, keyring.clone());
            Box::new(client.map_err(|error| refused(&error))?)
        }
    };
    let built = Built {
        machine,
        codec: std::sync::Arc::new(PbftCodec::new(keyring)),
        encode: |record: &Record| record.encode().into(),
    };
    drive(built, journal, setup, exited)
}
