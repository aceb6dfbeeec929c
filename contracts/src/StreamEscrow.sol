// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Decimal} from "./streams/Decimal.sol";
import {Reading} from "./streams/IStreams.sol";
import {Streams} from "./streams/Streams.sol";
import {StreamSubscriber} from "./streams/StreamSubscriber.sol";

/**
 * @title Ether that a stream's reading releases
 * @notice The buyer deploys this contract with ether and terms. When a reading of the stream meets the condition, the
 * ether is the seller's; if none does in time, the buyer takes it back. One contract is one deal, so no deal is in
 * another's way.
 *
 * A reading counts when the device observed it from the second of the deployment to the {deadline}, by the device's
 * clock, and the ledger recorded it after the deployment, and before the buyer has taken the ether back. The buyer may
 * do so when the {grace} after the deadline is over, which is how much time a device has that delivers late. So neither
 * a backlog from before the deal nor a reading from after its deadline releases anything.
 *
 * The reading's payload is a number (`21.5`), or a flat JSON object with a number at a key (`{"t":21.5}`), as Decimal
 * has them. Whatever else a device sends meets no condition.
 * @dev The contract subscribes to the stream and decides in the block of the record. It does not depend on that: when a
 * callback was missed, for whatever reason, or the stream takes no more subscribers (deploy with `gasPrepaid` 0 then),
 * anybody has it decided by {check}. The seller should look before the grace is over.
 *
 * Gas of a callback: 21,000 and 16 for each byte that is not 0 of the encoded readings (some 500 bytes each), as for a
 * transaction; some 400 for each byte of a payload of up to 4,096 bytes (others are not looked at); and 100,000 for
 * deciding, once. 300,000 are good for a record with one short reading. A record that needs more than `gasPerRecord` is
 * a missed callback.
 *
 * Trust: both sides trust the device and whoever has its key, for what it says and for its clock. Nobody else decides
 * anything. Before a seller relies on a deal, it must compare the contract's code with this one's, and read the terms:
 * anybody can deploy something that looks alike.
 *
 * Ether never gets stuck unless its owner can't receive any: a buyer or a seller that is a contract must be able to.
 * What is here beyond the price, such as what unused gas has cost, is the buyer's at any time.
 *
 * Reentrancy: the streams call nobody back when they are called. Ether is sent last, after all is written down, and
 * never in {onRecord} or {check}: who is paid can stop nobody else.
 */
contract StreamEscrow is StreamSubscriber {
    /// @notice How a reading is compared with the threshold.
    enum Comparison {
        AtLeast,
        AtMost
    }

    /// @notice What became of the deal.
    enum Status {
        Open,
        Released,
        TakenBack
    }

    /// @notice What buyer and seller have agreed on.
    /// @param seller who gets the ether when the condition is met
    /// @param stream the stream
    /// @param key where in the payload the number is: a key of a JSON object; empty: the payload is the number
    /// @param comparison how the number is compared with the threshold
    /// @param threshold the threshold, in units of 10^-18
    /// @param deadline the last second in which the device may observe it, in seconds since 1970
    /// @param grace how many seconds after that the buyer may take the ether back
    struct Terms {
        address payable seller;
        bytes32 stream;
        string key;
        Comparison comparison;
        int256 threshold;
        uint64 deadline;
        uint64 grace;
    }

    /// @notice How many decimals numbers have here.
    uint8 public constant DECIMALS = 18;

    /// @notice How many seconds deadline and grace may lie ahead: ten years. A deadline in milliseconds, by mistake,
    /// would lock the ether for ages.
    uint256 public constant MAX_DURATION = 3650 days;

    /// @notice Who deployed the contract, and paid.
    address payable public immutable buyer;

    /// @notice Who gets the ether when the condition is met.
    address payable public immutable seller;

    /// @notice The stream.
    bytes32 public immutable stream;

    /// @notice How a reading is compared with the threshold.
    Comparison public immutable comparison;

    /// @notice The threshold, in units of 10^-18.
    int256 public immutable threshold;

    /// @notice The second of the deployment: the first in which the device may observe it.
    uint64 public immutable opened;

    /// @notice The block of the deployment: the reading is recorded in a later one.
    uint64 public immutable openedAt;

    /// @notice The last second in which the device may observe it.
    uint64 public immutable deadline;

    /// @notice How many seconds after the deadline the buyer may take the ether back.
    uint64 public immutable grace;

    /// @notice How much ether the deal is about, in wei.
    uint256 public immutable price;

    /// @notice The key of the JSON object where the number is; empty: the payload is the number.
    string public key;

    /// @notice What became of the deal.
    Status public status;

    /// @notice Whether the seller has withdrawn the ether.
    bool public paid;

    /// @notice The deal began.
    /// @param buyer who paid
    /// @param seller who gets the ether when the condition is met
    /// @param stream the stream
    /// @param price how much ether it is about, in wei
    event Opened(address indexed buyer, address indexed seller, bytes32 indexed stream, uint256 price);

    /// @notice A reading met the condition: the ether is the seller's.
    /// @param sequence the reading's number in the stream
    /// @param record keccak256 of the signed record that brought it
    /// @param value the number that was read, in units of 10^-18
    event Released(uint64 indexed sequence, bytes32 indexed record, int256 value);

    /// @notice The condition was not met in time: the ether is the buyer's again.
    event TakenBack();

    /// @notice Ether was sent to its owner.
    /// @param who who got it
    /// @param amount how much, in wei
    event Withdrawn(address indexed who, uint256 amount);

    /// @notice The seller must be an account, neither the zero address nor the buyer.
    /// @param seller who was given
    error BadSeller(address seller);

    /// @notice The deadline must not be over, and deadline and grace not lie more than {MAX_DURATION} ahead.
    /// @param deadline the deadline
    /// @param grace the grace
    error BadTime(uint64 deadline, uint64 grace);

    /// @notice The ether sent along must be more than what the prepaid gas costs.
    /// @param sent how much was sent, in wei
    /// @param gasCost what the gas costs, in wei
    error NoPrice(uint256 sent, uint256 gasCost);

    /// @notice The deal is decided.
    /// @param status what became of it
    error NotOpen(Status status);

    /// @notice That reading does not meet the condition.
    /// @param sequence its number in the stream
    error NotMet(uint64 sequence);

    /// @notice The grace is not over.
    /// @param until the last second of it
    error TooEarly(uint256 until);

    /// @notice Only the buyer may do this.
    /// @param caller who tried
    error NotBuyer(address caller);

    /// @notice The call needs more gas.
    error TooLittleGas();

    /// @notice There is no ether here that is the caller's.
    /// @param caller who tried
    error NothingToWithdraw(address caller);

    /// @notice Opens the deal, and subscribes to the stream. The ether sent along, without what the prepaid gas costs,
    /// is the price.
    /// @param terms what is agreed on
    /// @param gasPerRecord how much gas each callback may take
    /// @param gasPrepaid how much gas is paid for; 0: the contract does not subscribe, and {check} decides
    constructor(Terms memory terms, uint64 gasPerRecord, uint64 gasPrepaid) payable {
        if (terms.seller == address(0) || terms.seller == msg.sender) revert BadSeller(terms.seller);
        if (
            terms.deadline < block.timestamp
                || uint256(terms.deadline) + terms.grace > block.timestamp + MAX_DURATION
        ) revert BadTime(terms.deadline, terms.grace);
        uint256 gasCost = Streams.cost(gasPrepaid);
        if (msg.value <= gasCost) revert NoPrice(msg.value, gasCost);
        buyer = payable(msg.sender);
        seller = terms.seller;
        stream = terms.stream;
        comparison = terms.comparison;
        threshold = terms.threshold;
        opened = uint64(block.timestamp);
        openedAt = uint64(block.number);
        deadline = terms.deadline;
        grace = terms.grace;
        price = msg.value - gasCost;
        key = terms.key;
        emit Opened(msg.sender, terms.seller, terms.stream, msg.value - gasCost);
        if (gasPrepaid > 0) _subscribe(terms.stream, gasPerRecord, gasPrepaid);
    }

    /// @notice Decides by a reading that is in the stream and meets the condition, as when a callback was missed.
    /// Anybody may, as long as the buyer has not taken the ether back.
    /// @param sequence the reading's number in the stream
    function check(uint64 sequence) external {
        _requireOpen();
        Reading memory found = Streams.AT.reading(stream, sequence);
        if (found.height <= openedAt || !_isInTime(found.time)) revert NotMet(sequence);
        (bool met, int256 value) = _isMet(found.payload, bytes(key));
        if (!met) revert NotMet(sequence);
        _release(sequence, found.record, value);
    }

    /// @notice Takes all ether back when the grace is over and no reading has met the condition. Only the buyer may.
    function takeBack() external {
        if (msg.sender != buyer) revert NotBuyer(msg.sender);
        _requireOpen();
        uint256 until = uint256(deadline) + grace;
        if (block.timestamp <= until) revert TooEarly(until);
        status = Status.TakenBack;
        emit TakenBack();
        _endSubscription();
        _pay(buyer, address(this).balance);
    }

    /// @notice Sends the caller what is theirs: the price to the seller when it is released; to the buyer whatever is
    /// here beyond the price, such as what unused gas has cost.
    function withdraw() external {
        if (msg.sender == seller && status == Status.Released && !paid) {
            paid = true;
            _pay(seller, price);
        } else if (msg.sender == buyer) {
            uint256 reserved = status == Status.TakenBack || paid ? 0 : price;
            _pay(buyer, address(this).balance - reserved);
        } else {
            revert NothingToWithdraw(msg.sender);
        }
    }

    /// @inheritdoc StreamSubscriber
    /// @dev Only the one stream was subscribed to, and records come in later blocks than the deployment. The first
    /// reading of the record that meets the condition decides.
    function _onRecord(bytes32, Reading[] calldata readings) internal override {
        if (status != Status.Open) return;
        bytes memory where = bytes(key);
        for (uint256 i = 0; i < readings.length; ++i) {
            Reading calldata reading = readings[i];
            if (!_isInTime(reading.time)) continue;
            // A longer payload is no number; this saves the gas for copying it.
            if (reading.payload.length > Decimal.LIMIT) continue;
            (bool met, int256 value) = _isMet(reading.payload, where);
            if (met) return _release(reading.sequence, reading.record, value);
        }
    }

    /// @dev The ether is the seller's.
    function _release(uint64 sequence, bytes32 record, int256 value) private {
        status = Status.Released;
        emit Released(sequence, record, value);
        _endSubscription();
    }

    /// @dev Ends the subscription, if there still is one: it may have ended by itself, or never begun, and that must
    /// not stop a decision. Only when the gas runs out, which leaves no reason, the decision waits for a call with
    /// more: otherwise an estimate of gas would find that less suffices, and what the prepaid gas has cost would stay
    /// there.
    function _endSubscription() private {
        try Streams.AT.unsubscribe(stream) {}
        catch (bytes memory reason) {
            if (reason.length == 0) revert TooLittleGas();
        }
    }

    /// @dev Sends ether, if there is any to send.
    function _pay(address payable who, uint256 amount) private {
        if (amount == 0) revert NothingToWithdraw(who);
        emit Withdrawn(who, amount);
        Address.sendValue(who, amount);
    }

    /// @dev That the deal is not decided.
    function _requireOpen() private view {
        if (status != Status.Open) revert NotOpen(status);
    }

    /// @dev Whether the device observed it in the time of the deal. `time` is in milliseconds.
    function _isInTime(uint64 time) private view returns (bool) {
        uint64 second = time / 1000;
        return second >= opened && second <= deadline;
    }

    /// @dev Whether a payload has a number that meets the condition, and the number.
    function _isMet(bytes memory payload, bytes memory where) private view returns (bool met, int256 value) {
        (met, value) = where.length == 0
            ? Decimal.read(payload, DECIMALS)
            : Decimal.readAt(payload, where, DECIMALS);
        if (met) met = comparison == Comparison.AtLeast ? value >= threshold : value <= threshold;
    }
}
