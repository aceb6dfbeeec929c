// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Network, Reading} from "../streams/IStreams.sol";
import {Streams} from "../streams/Streams.sol";
import {StreamSubscriber} from "../streams/StreamSubscriber.sol";
import {Callback} from "./Callback.sol";

/// @title For tests only: subscribes, behaves as it is told to, and asks the streams everything
contract StreamProbe is StreamSubscriber, Callback {
    /// @notice How to behave when a record comes. `Revert`: with {Refused}; `RevertLong`: with 100,000 bytes; `Loop`:
    /// use up all gas; `Invalid`: an instruction that is none.
    enum Mode {
        Count,
        Revert,
        RevertLong,
        Loop,
        Invalid
    }

    /// @notice How to behave.
    Mode public mode;

    /// @notice How many records came.
    uint256 public records;

    /// @notice How many readings came.
    uint256 public readingCount;

    /// @notice keccak256 of the ABI encoding of the last record's stream and readings.
    bytes32 public lastHash;

    /// @notice What came, and in what circumstances.
    /// @param stream the stream
    /// @param readings the readings
    /// @param origin ORIGIN
    /// @param gasPrice GASPRICE
    /// @param number NUMBER
    /// @param timestamp TIMESTAMP
    /// @param gasLeft how much gas was left at the beginning
    event Got(
        bytes32 indexed stream,
        Reading[] readings,
        address origin,
        uint256 gasPrice,
        uint256 number,
        uint256 timestamp,
        uint256 gasLeft
    );

    /// @notice What {Mode-Revert} reverts with.
    /// @param stream the stream
    /// @param count how many readings came
    error Refused(bytes32 stream, uint256 count);

    /// @notice Takes ether, to pay for gas with.
    constructor() payable {}

    /// @notice Tells how to behave from now on.
    /// @param mode_ how
    function behave(Mode mode_) external {
        mode = mode_;
    }

    /// @notice Subscribes.
    /// @param stream the stream
    /// @param gasPerRecord how much gas each call may take
    /// @param gasPrepaid how much gas is paid for
    function subscribe(bytes32 stream, uint64 gasPerRecord, uint64 gasPrepaid) external payable {
        _subscribe(stream, gasPerRecord, gasPrepaid);
    }

    /// @notice Ends the subscription.
    /// @param stream the stream
    function unsubscribe(bytes32 stream) external {
        _unsubscribe(stream);
    }

    /// @notice Pays for more gas.
    /// @param stream the stream
    /// @param subscriber whose subscription it is for
    /// @param gasAdded how much
    function fund(bytes32 stream, address subscriber, uint64 gasAdded) external payable {
        Streams.AT.fund{value: Streams.cost(gasAdded)}(stream, subscriber, gasAdded);
    }

    /// @notice Calls the streams with ether, by CALL.
    /// @param data_ what to call with
    /// @return success whether it succeeded
    /// @return answer what it returned
    function plain(bytes calldata data_) external payable returns (bool success, bytes memory answer) {
        return address(Streams.AT).call{value: msg.value}(data_);
    }

    /// @notice Calls the streams by STATICCALL.
    /// @param data_ what to call with
    /// @return success whether it succeeded
    /// @return answer what it returned
    function statically(bytes calldata data_) external view returns (bool success, bytes memory answer) {
        return address(Streams.AT).staticcall(data_);
    }

    /// @notice Calls the streams by DELEGATECALL.
    /// @param data_ what to call with
    /// @return success whether it succeeded
    /// @return answer what it returned
    function delegated(bytes calldata data_) external returns (bool success, bytes memory answer) {
        return address(Streams.AT).delegatecall(data_);
    }

    /// @notice Calls the streams by CALLCODE.
    /// @param data_ what to call with
    /// @return success whether it succeeded
    /// @return answer what it returned
    function codeCalled(bytes memory data_) external returns (bool success, bytes memory answer) {
        address streams = address(Streams.AT);
        assembly ("memory-safe") {
            success := callcode(gas(), streams, 0, add(data_, 0x20), mload(data_), 0, 0)
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 0x20), 0, returndatasize())
            mstore(0x40, and(add(add(answer, returndatasize()), 0x3f), not(0x1f)))
        }
    }

    /// @notice Calls the streams with little gas.
    /// @param data_ what to call with
    /// @param gas_ how much gas
    /// @return success whether it succeeded
    /// @return answer what it returned
    function scanty(bytes calldata data_, uint256 gas_) external returns (bool success, bytes memory answer) {
        return address(Streams.AT).call{gas: gas_}(data_);
    }

    /// @notice Calls the streams, then reverts: nothing may remain of it.
    /// @param data_ what to call with
    function calledInVain(bytes calldata data_) external {
        (bool success, ) = address(Streams.AT).call(data_);
        revert Refused(bytes32(uint256(success ? 1 : 0)), 0);
    }

    /// @notice Has {calledInVain} called, and goes on.
    /// @param data_ what to call the streams with
    /// @return answer what it reverted with
    function inVain(bytes calldata data_) external returns (bytes memory answer) {
        (, answer) = address(this).call(abi.encodeCall(this.calledInVain, (data_)));
    }

    /// @notice As `IStreams.find`.
    /// @param device the device's name
    /// @param stream the stream's name
    /// @return the stream
    function find(string calldata device, string calldata stream) external view returns (bytes32) {
        return Streams.AT.find(device, stream);
    }

    /// @notice As `IStreams.idOf`.
    /// @param device the device
    /// @param stream the stream's name
    /// @return the stream
    function idOf(address device, string calldata stream) external pure returns (bytes32) {
        return Streams.AT.idOf(device, stream);
    }

    /// @notice As `IStreams.length`.
    /// @param stream the stream
    /// @return the length
    function length(bytes32 stream) external view returns (uint64) {
        return Streams.AT.length(stream);
    }

    /// @notice As `IStreams.ownerOf`.
    /// @param stream the stream
    /// @return the owner
    function ownerOf(bytes32 stream) external view returns (address) {
        return Streams.AT.ownerOf(stream);
    }

    /// @notice As `IStreams.latest`.
    /// @param stream the stream
    /// @return the reading
    function latest(bytes32 stream) external view returns (Reading memory) {
        return Streams.AT.latest(stream);
    }

    /// @notice As `IStreams.reading`.
    /// @param stream the stream
    /// @param sequence the reading's number
    /// @return the reading
    function reading(bytes32 stream, uint64 sequence) external view returns (Reading memory) {
        return Streams.AT.reading(stream, sequence);
    }

    /// @notice As `IStreams.range`.
    /// @param stream the stream
    /// @param from the least number
    /// @param limit how many at most
    /// @return the readings
    function range(bytes32 stream, uint64 from, uint64 limit) external view returns (Reading[] memory) {
        return Streams.AT.range(stream, from, limit);
    }

    /// @notice As `IStreams.verify`.
    /// @param proof the proof
    /// @return the stream
    /// @return the device
    /// @return the reading
    function verify(bytes calldata proof) external view returns (bytes32, address, Reading memory) {
        return Streams.AT.verify(proof);
    }

    /// @notice As `IStreams.verifyFrom`.
    /// @param network the network
    /// @param proof the proof
    /// @return the stream
    /// @return the device
    /// @return the reading
    function verifyFrom(Network calldata network, bytes calldata proof)
        external
        pure
        returns (bytes32, address, Reading memory)
    {
        return Streams.AT.verifyFrom(network, proof);
    }

    /// @notice As `IStreams.subscription`.
    /// @param stream the stream
    /// @param subscriber whose
    /// @return gas for each call
    /// @return gas that is left
    function subscription(bytes32 stream, address subscriber) external view returns (uint64, uint64) {
        return Streams.AT.subscription(stream, subscriber);
    }

    /// @dev Keeps what came, calls back if that is prepared, and then behaves as told to: a failure takes all this
    /// back.
    function _onRecord(bytes32 stream, Reading[] calldata readings) internal override {
        uint256 gasLeft = gasleft();
        ++records;
        readingCount += readings.length;
        lastHash = keccak256(abi.encode(stream, readings));
        emit Got(stream, readings, tx.origin, tx.gasprice, block.number, block.timestamp, gasLeft);
        _callBack();
        if (mode == Mode.Revert) revert Refused(stream, readings.length);
        if (mode == Mode.RevertLong) {
            assembly ("memory-safe") {
                revert(0, 100000)
            }
        }
        if (mode == Mode.Loop) while (true) {}
        if (mode == Mode.Invalid) {
            assembly ("memory-safe") {
                invalid()
            }
        }
    }
}
