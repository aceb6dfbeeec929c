//! What the ledger itself answers when the account of the streams is called.

use alloy_primitives::{Address, B256, Log, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent, SolInterface};
use hedgerow_base::Digest;
use hedgerow_kv::KvRead;
use hedgerow_proofs::{
    Proof, TrustRoot,
    layout::{self, STREAMS_ADDRESS},
};
use hedgerow_records::{DeviceId, Name, Roles, StreamId, Subject};
use hedgerow_streams::Recorded;
use hedgerow_wire::List;
use revm::context::{ContextTr, JournalTr, Transaction as _};

use super::{
    abi::{
        self,
        IStreams::{self, IStreamsCalls},
    },
    reading::{Extent, MAX_READINGS},
    subscriptions::{Slots, Subscription, Subscriptions, Unfit},
};
use crate::native::{Native, Stop, refuse};

/// What things cost, in gas: as the EVM's own reading and writing of storage does, and so that a unit takes no longer
/// than there.
mod price {
    pub(super) const STORE: u64 = 20_000;
    pub(super) const READING: u64 = 4_000;
    pub(super) const PAYLOAD_BYTE: u64 = 2;
    pub(super) const EVENT: u64 = 2_000;
    pub(super) const TRANSFER: u64 = 9_000;
    pub(super) const PROOF: u64 = 10_000;
    /// Of one signer; a third of the validators sign.
    pub(super) const SIGNATURE: u64 = 4_000;
    pub(super) const PROOF_BYTE: u64 = 6;
}

impl<S: KvRead + ?Sized> Slots for Native<'_, '_, '_, S> {
    type Error = Stop;

    fn load(&mut self, slot: U256) -> Result<U256, Stop> {
        self.word(STREAMS_ADDRESS, slot)
    }

    fn store(&mut self, slot: U256, word: U256) -> Result<(), Stop> {
        self.charge(price::STORE)?;
        self.context
            .journal_mut()
            .sstore(STREAMS_ADDRESS, slot, word)?;
        Ok(())
    }
}

impl<S: KvRead + ?Sized> Native<'_, '_, '_, S> {
    /// Answers a call of the streams' account.
    pub(crate) fn streams(&mut self, input: &[u8]) -> Result<Vec<u8>, Stop> {
        let call =
            IStreamsCalls::abi_decode_validate(input).map_err(|_| refuse(&IStreams::BadCall {}))?;
        self.check_context(&call)?;
        match call {
            IStreamsCalls::find(call) => {
                let id = self.find(&call.device, call.stream)?;
                Ok(IStreams::findCall::abi_encode_returns(&id))
            }
            IStreamsCalls::idOf(call) => {
                let id = StreamId::new(DeviceId(call.device.0.0), &name(call.stream)?);
                Ok(IStreams::idOfCall::abi_encode_returns(&id.0.0.into()))
            }
            IStreamsCalls::length(call) => {
                let extent = self.extent(id(call.stream))?;
                Ok(IStreams::lengthCall::abi_encode_returns(&extent.length))
            }
            IStreamsCalls::ownerOf(call) => {
                let owner = self.load(layout::stream_owner_slot(id(call.stream)))?;
                let owner = Address::from_word(owner.into());
                Ok(IStreams::ownerOfCall::abi_encode_returns(&owner))
            }
            IStreamsCalls::latest(call) => {
                let extent = self.known(id(call.stream))?;
                let found = self.reading(extent, id(call.stream), extent.newest)?;
                Ok(IStreams::latestCall::abi_encode_returns(&found))
            }
            IStreamsCalls::reading(call) => {
                let extent = self.known(id(call.stream))?;
                let found = self.reading(extent, id(call.stream), call.sequence)?;
                Ok(IStreams::readingCall::abi_encode_returns(&found))
            }
            IStreamsCalls::range(call) => {
                let found = self.range(id(call.stream), call.from, call.limit)?;
                Ok(IStreams::rangeCall::abi_encode_returns(&found))
            }
            IStreamsCalls::verify(call) => {
                let trust = self.trust.clone();
                let (stream, device, found) = self.verify(&trust, &call.proof)?;
                let returns = IStreams::verifyReturn {
                    stream,
                    device,
                    found,
                };
                Ok(IStreams::verifyCall::abi_encode_returns(&returns))
            }
            IStreamsCalls::verifyFrom(call) => {
                let (stream, device, found) = self.verify_from(&call.network, &call.proof)?;
                let returns = IStreams::verifyFromReturn {
                    stream,
                    device,
                    found,
                };
                Ok(IStreams::verifyFromCall::abi_encode_returns(&returns))
            }
            IStreamsCalls::subscribe(call) => self.subscribe(&call),
            IStreamsCalls::fund(call) => self.fund(&call),
            IStreamsCalls::unsubscribe(call) => self.unsubscribe(&call),
            IStreamsCalls::subscription(call) => {
                let subscriptions = Subscriptions::load(self, id(call.stream))?;
                let found = subscriptions.find(call.subscriber);
                let found = found.and_then(|index| subscriptions.all.get(index));
                let returns = IStreams::subscriptionReturn {
                    gasPerRecord: found.map_or(0, |one| one.gas_per_record),
                    gasLeft: found.map_or(0, |one| one.gas_left),
                };
                Ok(IStreams::subscriptionCall::abi_encode_returns(&returns))
            }
        }
    }

    /// Whether the function may be called in this way.
    fn check_context(&self, call: &IStreamsCalls) -> Result<(), Stop> {
        let (changes, takes_ether) = match call {
            IStreamsCalls::subscribe(_) | IStreamsCalls::fund(_) => (true, true),
            IStreamsCalls::unsubscribe(_) => (true, false),
            _ => (false, false),
        };
        let bad_value = !takes_ether && !self.inputs.value.get().is_zero();
        if !self.is_direct() || (changes && self.inputs.is_static) || bad_value {
            return Err(refuse(&IStreams::NotAllowedHere {}));
        }
        Ok(())
    }

    fn find(&mut self, device: &str, stream: String) -> Result<B256, Stop> {
        let (device_name, stream) = (name(device.to_owned())?, name(stream)?);
        let word = self.load(layout::name_slot(&device_name))?;
        if word.is_zero() {
            let name = device.to_owned();
            return Err(refuse(&IStreams::UnknownDevice { name }));
        }
        let id = StreamId::new(layout::device_of_word(word), &stream);
        Ok(id.0.0.into())
    }

    fn extent(&mut self, stream: StreamId) -> Result<Extent, Stop> {
        self.load(layout::stream_slot(stream)).map(Extent::of_word)
    }

    /// As [`Self::extent`], of a stream that has readings.
    fn known(&mut self, stream: StreamId) -> Result<Extent, Stop> {
        let extent = self.extent(stream)?;
        if extent.length == 0 {
            let stream = stream.0.0.into();
            return Err(refuse(&IStreams::UnknownStream { stream }));
        }
        Ok(extent)
    }

    fn reading(
        &mut self,
        extent: Extent,
        stream: StreamId,
        sequence: u64,
    ) -> Result<abi::Reading, Stop> {
        self.charge(price::READING)?;
        let found = extent.at(self.context.db().view, stream, sequence)?;
        let Some(found) = found else {
            let stream = stream.0.0.into();
            return Err(refuse(&IStreams::UnknownReading { stream, sequence }));
        };
        self.give(found)
    }

    fn range(
        &mut self,
        stream: StreamId,
        from: u64,
        limit: u64,
    ) -> Result<Vec<abi::Reading>, Stop> {
        let extent = self.extent(stream)?;
        let limit = limit.min(MAX_READINGS).min(extent.length);
        self.charge(price::READING * limit)?;
        let found = extent.range(self.context.db().view, stream, from, limit as usize)?;
        found.into_iter().map(|one| self.give(one)).collect()
    }

    fn give(&mut self, found: Recorded) -> Result<abi::Reading, Stop> {
        let bytes = found.leaf.reading.payload.len() as u64;
        self.charge(price::PAYLOAD_BYTE * bytes)?;
        Ok(found.into())
    }

    fn verify(
        &mut self,
        trust: &TrustRoot,
        proof: &[u8],
    ) -> Result<(B256, Address, abi::Reading), Stop> {
        let bytes = price::PROOF_BYTE * proof.len() as u64;
        let signatures = price::SIGNATURE * trust.validators.len() as u64;
        self.charge(price::PROOF + bytes + signatures)?;
        let verified = Proof::from_bytes(proof).and_then(|proof| proof.verify(trust));
        let verified = verified.map_err(|error| invalid_proof(&error))?;
        let stream = StreamId::new(verified.device, &verified.stream.stream);
        let device = Address::from(verified.device.0);
        Ok((stream.0.0.into(), device, verified.into()))
    }

    fn verify_from(
        &mut self,
        network: &abi::Network,
        proof: &[u8],
    ) -> Result<(B256, Address, abi::Reading), Stop> {
        let keys = network.validators.iter().map(|key| key.0).collect();
        let validators = List::new(keys).map_err(|error| invalid_proof(&error))?;
        let trust = TrustRoot {
            network: network.number,
            genesis: Digest(network.genesis.0),
            validators,
        };
        self.verify(&trust, proof)
    }

    /// What so much gas costs, in wei.
    fn cost(&self, gas: u64) -> U256 {
        U256::from(gas).saturating_mul(U256::from(self.context.tx().gas_price()))
    }

    /// That what was sent along is what the gas costs.
    fn check_value(&self, gas: u64) -> Result<(), Stop> {
        let (sent, expected) = (self.inputs.value.get(), self.cost(gas));
        if sent != expected {
            return Err(refuse(&IStreams::WrongValue { sent, expected }));
        }
        Ok(())
    }

    /// That whoever sends the transaction may have contracts subscribe. A subscriber that is called may anew.
    fn check_role(&mut self) -> Result<(), Stop> {
        let account = self.context.tx().caller();
        if account == STREAMS_ADDRESS {
            return Ok(());
        }
        for subject in [Subject(account.0.0), Subject::EVERYONE] {
            if self.roles_of(subject)?.has(Roles::SUBSCRIBE) {
                return Ok(());
            }
        }
        Err(refuse(&IStreams::LacksRole { account }))
    }

    fn tell(&mut self, event: &impl SolEvent) -> Result<(), Stop> {
        self.charge(price::EVENT)?;
        let data = event.encode_log_data();
        self.context.journal_mut().log(own_log(data));
        Ok(())
    }

    fn subscribe(&mut self, call: &IStreams::subscribeCall) -> Result<Vec<u8>, Stop> {
        let (stream, subscriber) = (call.stream, self.inputs.caller);
        self.check_role()?;
        self.check_value(call.gasPrepaid)?;
        let new = Subscription {
            subscriber,
            gas_per_record: call.gasPerRecord,
            gas_left: call.gasPrepaid,
        };
        let mut subscriptions = Subscriptions::load(self, id(stream))?;
        subscriptions
            .begin(self, new)?
            .map_err(|unfit| match unfit {
                Unfit::Gas => bad_gas(call.gasPerRecord, call.gasPrepaid),
                Unfit::Twice => refuse(&IStreams::AlreadySubscribed { stream, subscriber }),
                Unfit::TooMany => refuse(&IStreams::TooManySubscribers { stream }),
            })?;
        self.tell(&IStreams::Subscribed {
            stream,
            subscriber,
            gasPerRecord: call.gasPerRecord,
            gasPrepaid: call.gasPrepaid,
        })?;
        Ok(Vec::new())
    }

    fn fund(&mut self, call: &IStreams::fundCall) -> Result<Vec<u8>, Stop> {
        let (stream, subscriber, gas) = (call.stream, call.subscriber, call.gasAdded);
        self.check_value(gas)?;
        let mut subscriptions = Subscriptions::load(self, id(stream))?;
        let (index, one) = found(&subscriptions, call.stream, subscriber)?;
        let sum = one.with(gas);
        let sum =
            sum.ok_or_else(|| bad_gas(one.gas_per_record, one.gas_left.saturating_add(gas)))?;
        subscriptions.set_gas(self, index, sum)?;
        self.tell(&IStreams::Funded {
            stream,
            subscriber,
            gasAdded: gas,
        })?;
        Ok(Vec::new())
    }

    fn unsubscribe(&mut self, call: &IStreams::unsubscribeCall) -> Result<Vec<u8>, Stop> {
        let (stream, subscriber) = (call.stream, self.inputs.caller);
        let mut subscriptions = Subscriptions::load(self, id(stream))?;
        let (index, one) = found(&subscriptions, stream, subscriber)?;
        subscriptions.end(self, index)?;
        let back = self.cost(one.gas_left);
        if !back.is_zero() {
            self.charge(price::TRANSFER)?;
            let journal = self.context.journal_mut();
            // The account holds what all gas left has cost.
            journal.transfer(STREAMS_ADDRESS, subscriber, back)?;
        }
        self.tell(&IStreams::Unsubscribed {
            stream,
            subscriber,
            gasLeft: one.gas_left,
        })?;
        Ok(Vec::new())
    }
}

fn id(stream: B256) -> StreamId {
    StreamId(Digest(stream.0))
}

fn name(text: String) -> Result<Name, Stop> {
    Name::new(text.clone()).map_err(|_| refuse(&IStreams::BadName { name: text }))
}

fn invalid_proof(error: &dyn core::fmt::Display) -> Stop {
    let reason = error.to_string();
    refuse(&IStreams::InvalidProof { reason })
}

fn bad_gas(per_record: u64, prepaid: u64) -> Stop {
    refuse(&IStreams::BadGas {
        gasPerRecord: per_record,
        gasPrepaid: prepaid,
    })
}

fn found(
    subscriptions: &Subscriptions,
    stream: B256,
    subscriber: Address,
) -> Result<(usize, Subscription), Stop> {
    let index = subscriptions.find(subscriber);
    let found = index.and_then(|index| Some((index, *subscriptions.all.get(index)?)));
    found.ok_or_else(|| refuse(&IStreams::NotSubscribed { stream, subscriber }))
}

/// An event of the account's own.
pub(crate) const fn own_log(data: LogData) -> Log {
    Log {
        address: STREAMS_ADDRESS,
        data,
    }
}
