use alloy_primitives::U256;
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_merkle::Range;
use hedgerow_proofs::layout::{self, STREAMS_ADDRESS};
use hedgerow_records::{Description, DeviceId, DevicePublicKey, Name, StreamId, StreamName};
use hedgerow_state::State;

use crate::Sequences;

/// A registered device.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Device {
    /// Its name.
    pub name: Name,
    /// The key that it signs with.
    pub public_key: DevicePublicKey,
    /// What it is, in words.
    pub description: Option<Description>,
    /// The block that registered it.
    pub height: Height,
}

/// A stream, but for its readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// The device that owns it.
    pub owner: DeviceId,
    /// Its Merkle mountain range.
    pub range: Range,
    /// The numbers of its readings.
    pub sequences: Sequences,
}

/// A stream as the store has it.
type Stored = (StreamName, DeviceId, u64, Vec<Digest>, Sequences);

impl Stream {
    pub(crate) fn new(name: StreamName, owner: DeviceId) -> Self {
        Self {
            name,
            owner,
            range: Range::new(),
            sequences: Sequences::default(),
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> StreamId {
        StreamId::new(self.owner, &self.name.stream)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self {
            name,
            owner,
            range,
            sequences,
        } = self;
        hedgerow_wire::encode(&(name, owner, range.length(), range.peaks(), sequences))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (name, owner, length, peaks, sequences): Stored =
            hedgerow_wire::decode(bytes, bytes.len()).ok()?;
        Some(Self {
            name,
            owner,
            range: Range::from_peaks(length, peaks).ok()?,
            sequences,
        })
    }

    /// The slots of the streams' account that change with each reading.
    pub(crate) fn slots(&self) -> [(U256, U256); 3] {
        let stream = self.id();
        let newest = self.sequences.bounds().map_or(0, |(_, newest)| newest);
        [
            (
                layout::stream_slot(stream),
                U256::from_limbs([self.range.length(), newest, 0, 0]),
            ),
            (
                layout::stream_root_slot(stream),
                U256::from_be_bytes(self.range.root().0),
            ),
            (
                layout::stream_sequences_slot(stream),
                U256::from_be_bytes(self.sequences.digest().0),
            ),
        ]
    }

    /// The slot of the streams' account that says who owns the stream.
    pub(crate) fn owner_slot(&self) -> (U256, U256) {
        let owner = U256::from_be_bytes(layout::address_word(self.owner));
        (layout::stream_owner_slot(self.id()), owner)
    }
}

/// How many of everything there are; a slot of the streams' account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Registered devices.
    pub devices: u64,
    /// Streams.
    pub streams: u64,
    /// Readings of all streams.
    pub readings: u64,
}

impl Counters {
    /// What `state` says.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let [devices, streams, readings, _] = *state
            .storage(&STREAMS_ADDRESS, &layout::COUNTERS_SLOT)
            .as_limbs();
        Self {
            devices,
            streams,
            readings,
        }
    }

    pub(crate) fn slot(self) -> (U256, U256) {
        let word = U256::from_limbs([self.devices, self.streams, self.readings, 0]);
        (layout::COUNTERS_SLOT, word)
    }
}
