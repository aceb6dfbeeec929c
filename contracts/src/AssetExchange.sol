// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/**
 * @title An exchange of X of asset A for Y of asset B between two owners
 * @notice The maker offers X of A for Y of B, to one taker or to anyone. When a taker accepts, both sides move in the
 * same transaction, or nothing does. Assets are ERC-20 tokens.
 * @dev By allowance, not in escrow: until it is accepted an offer is only words, and this contract never owns a token.
 * So there is nothing here to steal or to get stuck, an offer needs no refund when it is cancelled or expires, and a
 * maker may offer the same holdings to several takers, of whom the first gets them. The price is that an offer is no
 * promise: a maker who spends the tokens, or takes the allowance back, makes acceptance fail. The taker loses nothing
 * by that.
 *
 * An allowance for this contract is spent by offers of the account that gave it, and by acceptances that it sends
 * itself, and by nothing else.
 *
 * Tokens: without return values, and such that return false instead of reverting, are taken care of by SafeERC20. A
 * token that delivers less than it was told to (a fee on transfer) makes the exchange fail, so that both owners get
 * what the offer says. Tokens are the parties' choice and may still lie about balances: look at them before you accept.
 * A token that calls back can't start a second exchange while one is running.
 */
contract AssetExchange is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice What became of an offer. `None`: there is no such offer. One that expired stays `Open`: see {isOpen}.
    enum Status {
        None,
        Open,
        Accepted,
        Cancelled
    }

    /// @notice An offer's terms, and what became of it.
    /// @param maker who offers, gives A and gets B
    /// @param expires the last second in which it may be accepted, in seconds since 1970
    /// @param status what became of it
    /// @param taker who may accept; the zero address: anyone but the maker
    /// @param assetA the token that the maker gives
    /// @param amountA how much of it, in its smallest unit
    /// @param assetB the token that the maker wants
    /// @param amountB how much of it, in its smallest unit
    struct Offer {
        address maker;
        uint64 expires;
        Status status;
        address taker;
        IERC20 assetA;
        uint256 amountA;
        IERC20 assetB;
        uint256 amountB;
    }

    /// @dev All offers ever made, by identifier.
    mapping(bytes32 id => Offer) private _offers;

    /// @notice How many offers were made so far.
    uint256 public offerCount;

    /// @notice An offer was made.
    /// @param id its identifier
    /// @param maker who offers
    /// @param taker who may accept; the zero address: anyone
    /// @param assetA the token that the maker gives
    /// @param amountA how much of it
    /// @param assetB the token that the maker wants
    /// @param amountB how much of it
    /// @param expires the last second in which it may be accepted
    event Offered(
        bytes32 indexed id,
        address indexed maker,
        address indexed taker,
        IERC20 assetA,
        uint256 amountA,
        IERC20 assetB,
        uint256 amountB,
        uint64 expires
    );

    /// @notice An offer was accepted, and both sides have moved.
    /// @param id its identifier
    /// @param maker who got asset B
    /// @param taker who got asset A
    event Accepted(bytes32 indexed id, address indexed maker, address indexed taker);

    /// @notice An offer was taken back.
    /// @param id its identifier
    /// @param maker who took it back
    event Cancelled(bytes32 indexed id, address indexed maker);

    /// @notice Nothing can't be exchanged: both amounts must be more than 0.
    error ZeroAmount();

    /// @notice There is no contract at this address.
    /// @param asset the address
    error NotAToken(address asset);

    /// @notice The last second of the offer is over.
    /// @param expires that second
    error Expired(uint64 expires);

    /// @notice The offer is not open: it was never made, or is accepted or cancelled.
    /// @param id the identifier asked for
    /// @param status what became of it
    error NotOpen(bytes32 id, Status status);

    /// @notice This account may not accept the offer: it is made to another one, or is the maker's own.
    /// @param id the offer
    /// @param caller who tried
    error NotTaker(bytes32 id, address caller);

    /// @notice Only the maker may cancel the offer.
    /// @param id the offer
    /// @param caller who tried
    error NotMaker(bytes32 id, address caller);

    /// @notice A token delivered less than it was told to: it takes a fee, and can't be exchanged here.
    /// @param asset the token
    /// @param expected how much should have arrived
    /// @param received how much did
    error ReceivedTooLittle(IERC20 asset, uint256 expected, uint256 received);

    /// @notice Offers `amountA` of `assetA` for `amountB` of `assetB`. Nothing moves yet: approve `amountA` of `assetA`
    /// for this contract before a taker accepts.
    /// @dev The identifier is a hash of all terms and of the offer's number, so whoever accepts an identifier accepts
    /// these terms, even if offers are ordered otherwise than they were sent.
    /// @param taker who may accept; the zero address: anyone
    /// @param assetA the token that the caller gives
    /// @param amountA how much of it
    /// @param assetB the token that the caller wants
    /// @param amountB how much of it
    /// @param expires the last second in which it may be accepted, in seconds since 1970
    /// @return id the offer's identifier, also in {Offered}
    function offer(
        address taker,
        IERC20 assetA,
        uint256 amountA,
        IERC20 assetB,
        uint256 amountB,
        uint64 expires
    ) external returns (bytes32 id) {
        if (amountA == 0 || amountB == 0) revert ZeroAmount();
        if (address(assetA).code.length == 0) revert NotAToken(address(assetA));
        if (address(assetB).code.length == 0) revert NotAToken(address(assetB));
        if (block.timestamp > expires) revert Expired(expires);
        Offer memory terms = Offer(msg.sender, expires, Status.Open, taker, assetA, amountA, assetB, amountB);
        id = keccak256(abi.encode(terms, offerCount++));
        _offers[id] = terms;
        emit Offered(id, msg.sender, taker, assetA, amountA, assetB, amountB, expires);
    }

    /// @notice Accepts an offer: the caller gives asset B and gets asset A, at once. Approve `amountB` of `assetB` for
    /// this contract before.
    /// @param id the offer's identifier
    function accept(bytes32 id) external nonReentrant {
        Offer storage terms = _open(id);
        address maker = terms.maker;
        if (msg.sender == maker || (terms.taker != address(0) && msg.sender != terms.taker)) {
            revert NotTaker(id, msg.sender);
        }
        if (block.timestamp > terms.expires) revert Expired(terms.expires);
        terms.status = Status.Accepted;
        emit Accepted(id, maker, msg.sender);
        _move(terms.assetB, msg.sender, maker, terms.amountB);
        _move(terms.assetA, maker, msg.sender, terms.amountA);
    }

    /// @notice Takes an offer back, also an expired one. Only its maker may.
    /// @param id the offer's identifier
    function cancel(bytes32 id) external {
        Offer storage terms = _open(id);
        if (msg.sender != terms.maker) revert NotMaker(id, msg.sender);
        terms.status = Status.Cancelled;
        emit Cancelled(id, msg.sender);
    }

    /// @notice An offer's terms, and what became of it.
    /// @param id the offer's identifier
    /// @return the offer; all zero, with the status `None`, where there is none
    function offerOf(bytes32 id) external view returns (Offer memory) {
        return _offers[id];
    }

    /// @notice Whether an offer waits to be accepted and has not expired. It may still fail for want of tokens or of an
    /// allowance.
    /// @param id the offer's identifier
    /// @return whether it does
    function isOpen(bytes32 id) external view returns (bool) {
        return _offers[id].status == Status.Open && block.timestamp <= _offers[id].expires;
    }

    /// @dev The offer, if it is neither accepted nor cancelled.
    function _open(bytes32 id) private view returns (Offer storage terms) {
        terms = _offers[id];
        if (terms.status != Status.Open) revert NotOpen(id, terms.status);
    }

    /// @dev Moves tokens, and makes sure that all of them arrive.
    function _move(IERC20 asset, address from, address to, uint256 amount) private {
        uint256 before = asset.balanceOf(to);
        asset.safeTransferFrom(from, to, amount);
        uint256 received = asset.balanceOf(to) - before;
        if (received < amount) revert ReceivedTooLittle(asset, amount, received);
    }
}
