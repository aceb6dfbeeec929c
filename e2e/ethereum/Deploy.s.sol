// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Counter} from "../contracts/Counter.sol";

/// What forge's machine offers to scripts, as much as is used here.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

contract Deploy {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    modifier broadcast() {
        vm.startBroadcast();
        _;
        vm.stopBroadcast();
    }

    function run(uint256 times) external broadcast {
        Counter counter = new Counter();
        for (uint256 done; done < times; ++done) {
            counter.increment();
        }
        counter.sendBack{value: 1 ether}();
    }

    /// Goes on with what is on the network already.
    function again(Counter counter, uint256 expected) external broadcast {
        require(counter.count() == expected, "not the count that was expected");
        counter.increment();
    }

    function failWithReason(Counter counter) external broadcast {
        counter.failWithReason();
    }

    function failWithCustomError(Counter counter) external broadcast {
        counter.failWithCustomError();
    }

    /// A transaction that fails, without failing itself.
    function send(Counter counter) external broadcast {
        (bool done,) = address(counter).call{gas: 100_000}(abi.encodeCall(Counter.failWithReason, ()));
        require(!done, "this should have failed");
    }
}
