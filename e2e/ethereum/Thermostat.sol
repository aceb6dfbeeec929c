// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRecordReceiver, IStreams, Reading} from "../../contracts/src/streams/IStreams.sol";

/// Watches a stream whose payloads are decimal numbers: tells of each one above a limit.
contract Thermostat is IRecordReceiver {
    IStreams private constant STREAMS = IStreams(0x0000000000000000000000000000000000004847);

    event Alarm(uint64 sequence, bytes payload, uint64 blockNumber);

    error NotTheLedger(address caller);
    error AnotherStream(bytes32 stream);
    error NotANumber(bytes payload);

    bytes32 public immutable watched;
    uint256 public immutable limit;

    /// How many records it took.
    uint256 public records;

    constructor(string memory device, string memory stream, uint256 most, uint64 gasPerRecord, uint64 gasPrepaid) {
        bytes32 id = STREAMS.find(device, stream);
        watched = id;
        limit = most;
        STREAMS.subscribe(id, gasPerRecord, gasPrepaid);
    }

    function onRecord(bytes32 stream, Reading[] calldata readings) external {
        if (msg.sender != address(STREAMS)) revert NotTheLedger(msg.sender);
        if (stream != watched) revert AnotherStream(stream);
        records += 1;
        for (uint256 i = 0; i < readings.length; i++) {
            Reading calldata reading = readings[i];
            if (number(reading.payload) > limit) {
                emit Alarm(reading.sequence, reading.payload, uint64(block.number));
            }
        }
    }

    function number(bytes calldata payload) private pure returns (uint256 value) {
        if (payload.length == 0) revert NotANumber(payload);
        for (uint256 i = 0; i < payload.length; i++) {
            uint8 digit = uint8(payload[i]);
            if (digit < 0x30 || digit > 0x39) revert NotANumber(payload);
            value = value * 10 + (digit - 0x30);
        }
    }
}
