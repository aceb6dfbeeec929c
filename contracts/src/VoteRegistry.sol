// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/**
 * @title A vote among options that are fixed at deployment
 * @notice Every account votes once and can't change its vote. Anyone reads the counts. Ether sent along with votes
 * stays here until the admin collects it.
 * @dev The vote is of accounts, not of persons: whoever has two accounts has two votes. There is no end of the vote:
 * who needs one reads the counts at a block agreed on.
 *
 * Reentrancy: {collect} is the only call to the outside. It goes to the admin, comes last, and sends all there is, so
 * a call back finds nothing to collect. A call back of {vote} is a vote like any other. No guard is needed.
 */
contract VoteRegistry {
    /// @notice How many options a vote may have at most, so that {options} and {counts} fit into one call.
    uint256 public constant MAX_OPTIONS = 256;

    /// @notice Who collects the ether. Fixed at deployment.
    address payable public immutable admin;

    /// @dev The options' names, in the order of deployment.
    string[] private _options;

    /// @dev How many votes each option has.
    mapping(uint256 option => uint256 votes) private _counts;

    /// @dev What each account voted for, plus 1; 0 is an account that has not voted.
    mapping(address voter => uint256 optionPlusOne) private _ballots;

    /// @notice A vote was counted.
    /// @param voter whose vote it is
    /// @param option the option's number
    /// @param value the wei sent along
    event Voted(address indexed voter, uint256 indexed option, uint256 value);

    /// @notice The admin collected the ether.
    /// @param admin who got it
    /// @param amount how much, in wei
    event Collected(address indexed admin, uint256 amount);

    /// @notice The admin must be an account, not the zero address.
    error ZeroAdmin();

    /// @notice A vote needs 1 to {MAX_OPTIONS} options.
    /// @param count how many there were
    error BadOptionCount(uint256 count);

    /// @notice There is no such option.
    /// @param option the number asked for
    error UnknownOption(uint256 option);

    /// @notice This account has voted before.
    /// @param voter the account
    /// @param option what it voted for
    error AlreadyVoted(address voter, uint256 option);

    /// @notice Only the admin may do this.
    /// @param caller who tried
    error NotAdmin(address caller);

    /// @notice There is no ether to collect.
    error NothingToCollect();

    /// @notice Fixes the options and the admin.
    /// @param optionNames the options' names; an option's number is its place among them, from 0
    /// @param admin_ who collects the ether; a contract must be able to receive it
    constructor(string[] memory optionNames, address payable admin_) {
        if (admin_ == address(0)) revert ZeroAdmin();
        uint256 count = optionNames.length;
        if (count == 0 || count > MAX_OPTIONS) revert BadOptionCount(count);
        _options = optionNames;
        admin = admin_;
    }

    /// @notice Votes for an option, once and for all. Ether sent along goes to the admin.
    /// @param option the option's number
    function vote(uint256 option) external payable {
        if (option >= _options.length) revert UnknownOption(option);
        uint256 before = _ballots[msg.sender];
        if (before != 0) revert AlreadyVoted(msg.sender, before - 1);
        _ballots[msg.sender] = option + 1;
        _counts[option] += 1;
        emit Voted(msg.sender, option, msg.value);
    }

    /// @notice Sends all ether that is here to the admin, who alone may ask for it.
    /// @dev When the admin is a contract that refuses ether, its reason is passed on (or `FailedCall` without one), and
    /// the ether stays.
    function collect() external {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
        uint256 amount = address(this).balance;
        if (amount == 0) revert NothingToCollect();
        emit Collected(admin, amount);
        Address.sendValue(admin, amount);
    }

    /// @notice All options' names, in the order of their numbers.
    /// @return the names
    function options() external view returns (string[] memory) {
        return _options;
    }

    /// @notice How many votes each option has, in the order of their numbers.
    /// @return votes the counts
    function counts() external view returns (uint256[] memory votes) {
        votes = new uint256[](_options.length);
        for (uint256 option = 0; option < votes.length; ++option) {
            votes[option] = _counts[option];
        }
    }

    /// @notice How many votes an option has.
    /// @param option the option's number
    /// @return the count
    function countOf(uint256 option) external view returns (uint256) {
        if (option >= _options.length) revert UnknownOption(option);
        return _counts[option];
    }

    /// @notice Whether an account has voted, and for what: votes are not secret.
    /// @param voter the account
    /// @return voted whether it has
    /// @return option the option's number; 0 when it has not voted
    function ballotOf(address voter) external view returns (bool voted, uint256 option) {
        uint256 ballot = _ballots[voter];
        return ballot == 0 ? (false, 0) : (true, ballot - 1);
    }
}
