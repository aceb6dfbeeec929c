// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/**
 * @notice One thing that a device observed, as its stream keeps it.
 * @param sequence its number within the stream, given by the device; each number is used once
 * @param time when the device observed it: milliseconds since the Unix epoch on the device's clock
 * @param contentType how the payload is to be read: a media type such as `application/json`
 * @param payload the observation
 * @param position its place in the stream, from 0: the order in which the ledger recorded
 * @param height the block that recorded it
 * @param blockTime that block's time: milliseconds since the Unix epoch
 * @param record keccak256 of the signed record that brought it
 */
struct Reading {
    uint64 sequence;
    uint64 time;
    string contentType;
    bytes payload;
    uint64 position;
    uint64 height;
    uint64 blockTime;
    bytes32 record;
}

/**
 * @notice What one must know of a network to check its proofs.
 * @param number its number (chain id)
 * @param genesis the hash of its block 0
 * @param validators its validators' Ed25519 public keys, in the order of its genesis
 */
struct Network {
    uint64 number;
    bytes32 genesis;
    bytes32[] validators;
}

/**
 * @title Streams of readings, as contracts see them
 * @notice The ledger itself answers at 0x0000000000000000000000000000000000004847. A contract sees all readings of its
 * block: records are executed before Ethereum's transactions.
 * @dev Only by CALL and STATICCALL. What changes something is refused in a static call.
 */
interface IStreams {
    /// @notice A record was accepted in a stream that contracts have subscribed to.
    /// @param stream the stream
    /// @param device the device that owns the stream and signed the record
    /// @param firstPosition the position of the first reading that it appended
    /// @param appended how many readings it appended
    event Recorded(bytes32 indexed stream, address indexed device, uint64 firstPosition, uint64 appended);

    /// @notice A subscription began.
    /// @param stream the stream
    /// @param subscriber whose {IRecordReceiver-onRecord} is called
    /// @param gasPerRecord how much gas each call may take
    /// @param gasPrepaid how much gas was paid for
    event Subscribed(
        bytes32 indexed stream, address indexed subscriber, uint64 gasPerRecord, uint64 gasPrepaid
    );

    /// @notice More gas was paid for.
    /// @param stream the stream
    /// @param subscriber whose subscription it is for
    /// @param gasAdded how much
    event Funded(bytes32 indexed stream, address indexed subscriber, uint64 gasAdded);

    /// @notice A subscription ended: the subscriber wished it, or its gas no longer suffices for another call.
    /// @param stream the stream
    /// @param subscriber whose it was
    /// @param gasLeft how much gas was left, and what it had cost given back
    event Unsubscribed(bytes32 indexed stream, address indexed subscriber, uint64 gasLeft);

    /// @notice A subscriber's {IRecordReceiver-onRecord} failed. The record stays, and what the call did was taken back.
    /// @param stream the stream
    /// @param subscriber who failed
    /// @param record keccak256 of the signed record
    /// @param reason what it reverted with, up to 1,024 bytes of it; or the encoding of {Halted} or {BlockFull}
    event Failed(bytes32 indexed stream, address indexed subscriber, bytes32 record, bytes reason);

    /// @notice Not a name of a device or a stream: 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit.
    error BadName(string name);

    /// @notice No device of that name is registered.
    error UnknownDevice(string name);

    /// @notice The stream has no reading yet.
    error UnknownStream(bytes32 stream);

    /// @notice The stream has no reading with that number.
    error UnknownReading(bytes32 stream, uint64 sequence);

    /// @notice The proof proves nothing; why, in words.
    error InvalidProof(string reason);

    /// @notice What was sent along is not what the gas costs.
    error WrongValue(uint256 sent, uint256 expected);

    /// @notice A call needs 21,000 gas at least and may have 16,777,216 at most, all subscribers of a stream together
    /// may have no more, and the prepaid gas must suffice for one call and be less than 2^48.
    error BadGas(uint64 gasPerRecord, uint64 gasPrepaid);

    /// @notice The caller has subscribed to the stream already.
    error AlreadySubscribed(bytes32 stream, address subscriber);

    /// @notice There is no such subscription.
    error NotSubscribed(bytes32 stream, address subscriber);

    /// @notice A stream may have 16 subscribers.
    error TooManySubscribers(bytes32 stream);

    /// @notice Whoever sent the transaction lacks the role `subscribe`.
    error LacksRole(address account);

    /// @notice Not one of these functions, or not its encoding.
    error BadCall();

    /// @notice This changes something, and was called where nothing may be changed; or by DELEGATECALL or CALLCODE; or
    /// ether was sent to a function that takes none.
    error NotAllowedHere();

    /// @notice Why a call of {IRecordReceiver-onRecord} was stopped, in words: out of gas, for one.
    error Halted(string reason);

    /// @notice The call would not fit into the block any more, and was not begun: subscribers have half of a block's gas.
    /// The event costs the subscription 3,000 gas.
    error BlockFull(uint64 gasLeft);

    /// @notice The identifier of a stream by its names, whether it has readings or not.
    /// @param device the device's name
    /// @param stream the stream's name within its device
    function find(string calldata device, string calldata stream) external view returns (bytes32 id);

    /// @notice The identifier of a device's stream, whether it has readings or not.
    /// @param device the device
    /// @param stream the stream's name within its device
    function idOf(address device, string calldata stream) external pure returns (bytes32 id);

    /// @notice How many readings a stream has; 0 for one that is not there.
    function length(bytes32 stream) external view returns (uint64 count);

    /// @notice The device that owns a stream; the zero address for one that is not there.
    function ownerOf(bytes32 stream) external view returns (address device);

    /// @notice The reading with the greatest number.
    function latest(bytes32 stream) external view returns (Reading memory found);

    /// @notice The reading with that number.
    function reading(bytes32 stream, uint64 sequence) external view returns (Reading memory found);

    /// @notice Readings in the order of their numbers; none where the stream has none.
    /// @param stream the stream
    /// @param from the least number wanted
    /// @param limit how many at most; never more than 256, and fewer when their payloads exceed 128 KiB together
    function range(bytes32 stream, uint64 from, uint64 limit) external view returns (Reading[] memory found);

    /// @notice Checks a proof of this network's: the content of a proof's file, as `hedgerow prove` writes it.
    /// @return stream the stream
    /// @return device the device that owns the stream and signed the reading
    /// @return found the reading
    function verify(bytes calldata proof)
        external
        view
        returns (bytes32 stream, address device, Reading memory found);

    /// @notice Checks a proof of another network's.
    /// @param network what is known of it
    /// @param proof the proof
    function verifyFrom(Network calldata network, bytes calldata proof)
        external
        pure
        returns (bytes32 stream, address device, Reading memory found);

    /// @notice Subscribes the caller: from the next record on, its {IRecordReceiver-onRecord} is called for each record
    /// that appends readings to the stream; after those who have subscribed before.
    /// @dev Gas is paid for beforehand: `gasPrepaid` times GASPRICE must be sent along, nothing where gas costs nothing.
    /// When what is left does not suffice for another call, the subscription ends, and the rest is given back.
    /// @param stream the stream, which need not have readings yet
    /// @param gasPerRecord how much gas each call may take: for 21,000 and its input, as of a transaction, and what the
    /// function does
    /// @param gasPrepaid how much gas is paid for
    function subscribe(bytes32 stream, uint64 gasPerRecord, uint64 gasPrepaid) external payable;

    /// @notice Pays for more of a subscription's gas; anybody may.
    function fund(bytes32 stream, address subscriber, uint64 gasAdded) external payable;

    /// @notice Ends the caller's subscription. What the gas left has cost is given back: added to the caller's balance,
    /// without a call. While {IRecordReceiver-onRecord} runs, its own gas is not counted as left; what it does not take is
    /// given back afterwards.
    function unsubscribe(bytes32 stream) external;

    /// @notice What is left of a subscription; zeros where there is none.
    function subscription(bytes32 stream, address subscriber)
        external
        view
        returns (uint64 gasPerRecord, uint64 gasLeft);
}

/// @title What a contract has that subscribes to streams
interface IRecordReceiver {
    /// @notice A record was accepted. Called by {IStreams}'s address, in the record's block, before that block's
    /// transactions.
    /// @dev Whoever else calls is to be refused. If it reverts, the record stays and {IStreams-Failed} is emitted. ORIGIN is
    /// {IStreams}'s address, too.
    /// @param stream the stream
    /// @param readings what the record appended, in the order of positions; what it repeated is not among them
    function onRecord(bytes32 stream, Reading[] calldata readings) external;
}
