use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::U256;
use hedgerow_base::{Digest, Height, Roster, Slot};
use hedgerow_crypto::VerifyingKey;
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_merkle::leaf_hash;
use hedgerow_proofs::layout::{self, STREAMS_ADDRESS};
use hedgerow_records::{
    DeviceId, Name, Reading, Receipt, Record, Registration, Rejection, RoleVote, Roles, StreamId,
    StreamName, Vote,
};
use hedgerow_state::{State, View, Writes};
use hedgerow_wire::encode_into;

use crate::{
    Counters, Device, Epoch, MAX_GAPS, Stream,
    admission::{Admitted, admit},
    epochs::Ballot,
    motions::{Assembly, RoleChanges, roles_of},
    nodes::NewNodes,
    read,
    run::{Run, run_at, runs},
    tables::{DEVICE_NAMES, DEVICES, RUNS, STREAM_NAMES, STREAMS, at, name},
};

/// How many devices and streams are kept in memory as they are at the head.
const CACHED: usize = 1 << 16;

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Its number.
    pub height: Height,
    /// Its time: milliseconds since the Unix epoch.
    pub time: u64,
    /// The slot whose batch it executes.
    pub slot: Slot,
}

/// What execution must know of the network: it is the same for all blocks.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its number.
    pub number: u64,
    /// The digest of its genesis.
    pub genesis: Digest,
    /// The validators: those of its members with the lowest identifiers.
    pub validators: Roster,
    /// The members' keys, in the order of their identifiers.
    pub members: Vec<VerifyingKey>,
    /// How the order begins.
    pub first_epoch: Epoch,
    /// How many validators decide on roles.
    pub role_votes: u32,
}

/// What a block's transactions did.
#[derive(Debug)]
pub struct Done {
    /// Each one's receipt, in their order.
    pub receipts: Vec<Receipt>,
    /// What is to be applied when the block ends.
    pub roles: RoleChanges,
}

/// Executes transactions. What it remembers between blocks is a cache: forgetting it changes no result.
#[derive(Debug)]
pub struct Streams {
    network: Arc<Network>,
    devices: BTreeMap<DeviceId, Arc<Device>>,
    streams: BTreeMap<StreamId, Stream>,
}

/// What a block does to a stream.
struct Touched {
    stream: Stream,
    is_new: bool,
    /// The stream's length before the block.
    first_position: u64,
    appended: Vec<(Reading, Digest)>,
    by_sequence: BTreeMap<u64, usize>,
    nodes: NewNodes,
}

/// A block in execution.
struct Execution<'a, S: ?Sized> {
    block: BlockContext,
    view: &'a View<'a, S>,
    state: &'a mut State,
    writes: &'a mut Writes,
    cache: &'a mut Streams,
    counters: Counters,
    /// Devices registered in this block are not in the view.
    names: BTreeMap<Name, DeviceId>,
    touched: BTreeMap<StreamId, Touched>,
    /// The run that was read last: a device that repeats itself repeats neighbours.
    run: Option<(StreamId, Run)>,
    /// Loaded with the block's first vote on the order.
    ballot: Option<Ballot>,
    /// Loaded with the block's first vote on roles.
    assembly: Option<Assembly>,
    scratch: Vec<u8>,
}

impl Streams {
    /// Executes for that network.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network: Arc::new(network),
            devices: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Forgets what it knows of the head: to be called when blocks are rolled back.
    pub fn forget(&mut self) {
        self.devices.clear();
        self.streams.clear();
    }

    /// Executes the transactions of a block, in their order, and gives each one's receipt. `view` and `state` are as
    /// they were before the block; `state` is changed, and so are `writes`, which are to be put over the view.
    ///
    /// # Errors
    /// Only when the store fails: no transaction can make it.
    pub fn execute<S: KvRead + ?Sized>(
        &mut self,
        block: BlockContext,
        transactions: &[&[u8]],
        view: &View<'_, S>,
        state: &mut State,
        writes: &mut Writes,
    ) -> Result<Done, StoreError> {
        if self.devices.len() + self.streams.len() > CACHED {
            self.forget();
        }
        let network = Arc::clone(&self.network);
        let admitted = admit(&network, transactions, |id| {
            Ok(self.device(view, id)?.map(|device| device.public_key))
        })?;

        let counters = Counters::of(state);
        let mut execution = Execution {
            block,
            view,
            state,
            writes,
            cache: self,
            counters,
            names: BTreeMap::new(),
            touched: BTreeMap::new(),
            run: None,
            ballot: None,
            assembly: None,
            scratch: Vec::new(),
        };
        let mut receipts = Vec::with_capacity(admitted.len());
        for transaction in admitted {
            let outcome = match transaction {
                Ok(transaction) => execution.apply(transaction)?,
                Err(rejection) => Err(rejection),
            };
            receipts.push(outcome.unwrap_or_else(|reason| Receipt::Rejected { reason }));
        }
        let assembly = execution.assembly.take();
        let roles = assembly.map(Assembly::close).unwrap_or_default();
        if execution.counters != counters {
            execution.finish();
        }
        Ok(Done { receipts, roles })
    }

    fn device<S: KvRead + ?Sized>(
        &mut self,
        view: &View<'_, S>,
        id: DeviceId,
    ) -> Result<Option<Arc<Device>>, StoreError> {
        if let Some(device) = self.devices.get(&id) {
            return Ok(Some(Arc::clone(device)));
        }
        let Some(device) = read::device(view, id)?.map(Arc::new) else {
            return Ok(None);
        };
        self.devices.insert(id, Arc::clone(&device));
        Ok(Some(device))
    }
}

/// What became of a transaction; the outer error is the store's.
type Outcome = Result<Result<Receipt, Rejection>, StoreError>;

impl<S: KvRead + ?Sized> Execution<'_, S> {
    fn apply(&mut self, transaction: Admitted) -> Outcome {
        match transaction {
            Admitted::Register {
                signature_is_valid: false,
                ..
            }
            | Admitted::Vote {
                signature_is_valid: false,
                ..
            }
            | Admitted::RoleVote {
                signature_is_valid: false,
                ..
            } => Ok(Err(Rejection::BadSignature)),
            Admitted::Vote { vote, .. } => self.vote(&vote),
            Admitted::RoleVote { vote, .. } => Ok(self.role_vote(&vote)),
            Admitted::Register {
                registration,
                member,
                digest,
                ..
            } => {
                if !roles_of(self.state, member).has(Roles::REGISTER) {
                    return Ok(Err(Rejection::NotAllowed {
                        subject: member,
                        role: Roles::REGISTER,
                    }));
                }
                self.register(registration, digest)
            }
            Admitted::Record {
                record,
                signed,
                digest,
                signature_is_valid,
            } => {
                let Some(device) = self.cache.device(self.view, record.device)? else {
                    return Ok(Err(Rejection::UnknownDevice {
                        device: record.device,
                    }));
                };
                let registered = device.public_key.algorithm();
                if signed.algorithm != registered {
                    return Ok(Err(Rejection::WrongAlgorithm {
                        found: signed.algorithm,
                        registered,
                    }));
                }
                if signature_is_valid != Some(true) {
                    return Ok(Err(Rejection::BadSignature));
                }
                self.record(record, digest, &device)
            }
        }
    }

    fn register(&mut self, registration: Registration, digest: Digest) -> Outcome {
        let Registration {
            version: _,
            network: _,
            name,
            public_key,
            description,
        } = registration;
        let id = public_key.device_id();
        if self.cache.device(self.view, id)?.is_some() {
            return Ok(Err(Rejection::AlreadyRegistered { device: id }));
        }
        let owner = match self.names.get(&name) {
            Some(owner) => Some(*owner),
            None => read::device_named(self.view, &name)?,
        };
        if let Some(device) = owner {
            return Ok(Err(Rejection::NameTaken { name, device }));
        }
        let slot = layout::device_slot(id);
        let slots = [
            (slot, U256::from_be_bytes(digest.0)),
            (
                slot.wrapping_add(U256::from(1)),
                U256::from(self.block.height.0),
            ),
            (
                layout::name_slot(&name),
                U256::from_be_bytes(layout::address_word(id)),
            ),
        ];
        self.state.set_storage(&STREAMS_ADDRESS, slots);
        self.writes.put(DEVICE_NAMES, name.as_bytes(), id.0);
        self.names.insert(name.clone(), id);
        let device = Device {
            name,
            public_key,
            description,
            height: self.block.height,
        };
        self.writes
            .put(DEVICES, id.0, hedgerow_wire::encode(&device));
        self.cache.devices.insert(id, Arc::new(device));
        self.counters.devices += 1;
        Ok(Ok(Receipt::Registered { device: id }))
    }

    fn vote(&mut self, vote: &Vote) -> Outcome {
        let network = &self.cache.network;
        let mut ballot = match self.ballot.take() {
            Some(ballot) => ballot,
            None => Ballot::load(self.state, &network.first_epoch)?,
        };
        let outcome = ballot.cast(vote, self.block, network.validators, self.state);
        self.ballot = Some(ballot);
        Ok(outcome)
    }

    fn role_vote(&mut self, vote: &RoleVote) -> Result<Receipt, Rejection> {
        let network = &self.cache.network;
        let state = &*self.state;
        let assembly = self.assembly.get_or_insert_with(|| Assembly::load(state));
        let (votes, decided) = assembly.cast(vote, network.role_votes, state)?;
        Ok(Receipt::RoleVoted {
            motion: vote.motion.id(&network.genesis),
            height: self.block.height,
            votes,
            needed: network.role_votes,
            decided,
        })
    }

    fn record(&mut self, record: Record, digest: Digest, device: &Device) -> Outcome {
        let id = record.stream_id();
        let mut touched = match self.touched.remove(&id) {
            Some(touched) => touched,
            None => self.touch(id, &record, device)?,
        };
        let outcome = self.append(id, &mut touched, record, digest);
        // A stream begins with its first record that is accepted.
        if touched.stream.range.length() > 0 {
            self.touched.insert(id, touched);
        }
        outcome
    }

    fn touch(
        &mut self,
        id: StreamId,
        record: &Record,
        device: &Device,
    ) -> Result<Touched, StoreError> {
        let stored = match self.cache.streams.remove(&id) {
            Some(stream) => Some(stream),
            None => read::stream(self.view, id)?,
        };
        let is_new = stored.is_none();
        let stream = stored.unwrap_or_else(|| {
            let name = StreamName {
                device: device.name.clone(),
                stream: record.stream.clone(),
            };
            Stream::new(name, record.device)
        });
        let first_position = stream.range.length();
        let (appended, by_sequence) = (Vec::new(), BTreeMap::new());
        Ok(Touched {
            stream,
            is_new,
            first_position,
            appended,
            by_sequence,
            nodes: NewNodes::default(),
        })
    }

    /// Appends a record's readings, all of them or none.
    fn append(
        &mut self,
        id: StreamId,
        touched: &mut Touched,
        record: Record,
        digest: Digest,
    ) -> Outcome {
        let readings = record.readings.into_vec();
        let mut sequences = touched.stream.sequences.clone();
        let mut new = BTreeMap::new();
        for (place, reading) in readings.iter().enumerate() {
            if sequences.insert(reading.sequence) {
                new.insert(reading.sequence, place);
                continue;
            }
            let same = match new
                .get(&reading.sequence)
                .and_then(|place| readings.get(*place))
            {
                Some(first) => first == reading,
                None => self.has(id, touched, reading)?,
            };
            if !same {
                return Ok(Err(Rejection::Conflict {
                    sequence: reading.sequence,
                }));
            }
        }
        if sequences.gaps() > MAX_GAPS {
            return Ok(Err(Rejection::TooManyGaps {
                max: MAX_GAPS as u32,
            }));
        }
        let first_position = touched.stream.range.length();
        let (appended, duplicates) = (new.len() as u32, (readings.len() - new.len()) as u32);
        for (place, reading) in readings.into_iter().enumerate() {
            // Of equal readings in one record the first one counts.
            if new.get(&reading.sequence) == Some(&place) {
                self.append_one(touched, reading, digest);
            }
        }
        touched.stream.sequences = sequences;
        self.counters.readings += u64::from(appended);
        let height = self.block.height;
        Ok(Ok(Receipt::Recorded {
            stream: id,
            height,
            first_position,
            appended,
            duplicates,
        }))
    }

    /// Whether the stream has the reading, whose number it has, with this content.
    fn has(
        &mut self,
        id: StreamId,
        touched: &Touched,
        reading: &Reading,
    ) -> Result<bool, StoreError> {
        if let Some(place) = touched.by_sequence.get(&reading.sequence) {
            return Ok(touched
                .appended
                .get(*place)
                .is_some_and(|(own, _)| own == reading));
        }
        if let Some((_, run)) = self.run.as_ref().filter(|(stream, _)| *stream == id)
            && let Some(same) = run.has(reading)
        {
            return Ok(same);
        }
        let Some(run) = run_at(self.view, id, reading.sequence)? else {
            return Err(read::damaged(RUNS));
        };
        let same = run.has(reading).ok_or_else(|| read::damaged(RUNS))?;
        self.run = Some((id, run));
        Ok(same)
    }

    fn append_one(&mut self, touched: &mut Touched, reading: Reading, record: Digest) {
        // The encoding of a `Leaf`.
        self.scratch.clear();
        encode_into(&reading, &mut self.scratch);
        encode_into(
            &(self.block.height, self.block.time, record),
            &mut self.scratch,
        );
        let nodes = &mut touched.nodes;
        touched
            .stream
            .range
            .append(leaf_hash(&self.scratch), |address, hash| {
                nodes.push(address, &hash)
            });
        touched
            .by_sequence
            .insert(reading.sequence, touched.appended.len());
        touched.appended.push((reading, record));
    }

    /// Writes what the block has done.
    fn finish(mut self) {
        let mut slots = Vec::new();
        for (id, touched) in std::mem::take(&mut self.touched) {
            let Touched {
                stream,
                is_new,
                first_position,
                appended,
                by_sequence: _,
                nodes,
            } = touched;
            if !appended.is_empty() {
                if is_new {
                    self.counters.streams += 1;
                    self.writes.put(STREAM_NAMES, name(&stream.name), id.0.0);
                    slots.push(stream.owner_slot());
                }
                for (last, run) in
                    runs(self.block.height, self.block.time, first_position, appended)
                {
                    self.writes
                        .put(RUNS, at(id, last), hedgerow_wire::encode(&run));
                }
                nodes.write(id, self.writes);
                self.writes.put(STREAMS, id.0.0, stream.to_bytes());
                slots.extend(stream.slots());
            }
            self.cache.streams.insert(id, stream);
        }
        slots.push(self.counters.slot());
        self.state.set_storage(&STREAMS_ADDRESS, slots);
    }
}
