// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/**
 * @title Decimal numbers out of payloads
 * @notice Reads what devices send: `21.5`, or the number at a key of `{"t":21.5,"n":3}`. The result counts in units of
 * the last decimal: with two decimals, `-12.5` is -1250.
 * @dev A number is what JSON calls one, without exponents: `-` or nothing, `0` or digits that do not begin with 0, then
 * perhaps `.` and digits. White space around it is passed over. What is not exactly that is no number, and nothing here
 * reverts on account of it: `+1`, `01`, `.5`, `1.`, `1e3`, `0x10`, `NaN`, `"21.5"`.
 *
 * The result is exact. A number with more digits behind the point than there are decimals is no number, unless these
 * are zeros: cut off, it would be another one, and might meet a condition that the true one does not. Ask for many
 * decimals; 18 are good for all that floating point prints without an exponent, but for a few numbers near 0. Nor is a
 * number whose result would exceed 2^255 - 1, with either sign.
 *
 * Gas: some 400 for each byte of the text. A text of more than {LIMIT} bytes is not looked at.
 */
library Decimal {
    /// @notice How long a text may be, in bytes.
    uint256 internal constant LIMIT = 4096;

    /// @dev The greatest result.
    uint256 private constant GREATEST = uint256(type(int256).max);

    /// @notice A text that is a number and nothing else.
    /// @param text the text
    /// @param decimals how many digits behind the point the result has
    /// @return ok whether it is a number
    /// @return value the number times 10^decimals; 0 when it is none
    function read(bytes memory text, uint8 decimals) internal pure returns (bool ok, int256 value) {
        if (text.length > LIMIT) return (false, 0);
        uint256 end;
        (ok, value, end) = _number(text, _space(text, 0), decimals);
        if (!ok || _space(text, end) != text.length) return (false, 0);
    }

    /// @notice The number at a key of a flat JSON object.
    /// @dev Flat: its values are numbers, texts, true, false and null. An object with an object or a list in it is not
    /// searched, nor one with an escape (`\`) in a key, nor one that has the key twice, about which readers of JSON
    /// disagree. The whole object is passed through before anything is found, so half an object has no number. Texts
    /// are passed over as wholes, escapes and all: what looks like a key within one is none. Values at other keys are
    /// not examined further than to see where they end.
    /// @param json the object
    /// @param key the key, as its bytes are between the quotation marks
    /// @param decimals how many digits behind the point the result has
    /// @return ok whether there is such a key, and what is there is a number
    /// @return value the number times 10^decimals; 0 when there is none
    function readAt(bytes memory json, bytes memory key, uint8 decimals) internal pure returns (bool ok, int256 value) {
        if (json.length > LIMIT) return (false, 0);
        bytes32 wanted = keccak256(key);
        uint256 place = _space(json, 0);
        if (_byteAt(json, place) != "{") return (false, 0);
        do {
            // `place` is of "{" or ",": what follows is a key. An empty object has no number anyway.
            uint256 start = _space(json, place + 1);
            bool escaped;
            (place, escaped) = _text(json, start);
            if (place == start || escaped) return (false, 0);
            // Without the quotation marks. `place` is behind the second one, so there are two.
            bool here = _hash(json, start + 1, place - 1) == wanted;
            place = _space(json, place);
            if (_byteAt(json, place) != ":") return (false, 0);
            start = _space(json, place + 1);
            if (here) {
                if (ok) return (false, 0);
                (ok, value, place) = _number(json, start, decimals);
                if (!ok) return (false, 0);
            } else {
                (place, ) = _text(json, start);
                if (place == start) place = _word(json, start);
                if (place == start) return (false, 0);
            }
            place = _space(json, place);
        } while (_byteAt(json, place) == ",");
        if (_byteAt(json, place) != "}" || _space(json, place + 1) != json.length) return (false, 0);
    }

    /// @dev The number that begins at `place`, and where it ends. What follows is for the caller to judge.
    function _number(bytes memory text, uint256 place, uint8 decimals)
        private
        pure
        returns (bool ok, int256 value, uint256 end)
    {
        bool negative = _byteAt(text, place) == "-";
        if (negative) ++place;
        uint256 magnitude;
        (ok, magnitude, end) = _digits(text, place, 0, type(uint256).max);
        // At least one digit, and a 0 at the beginning stands alone.
        if (!ok || end == place || (_byteAt(text, place) == "0" && end > place + 1)) return (false, 0, place);
        uint256 given;
        if (_byteAt(text, end) == ".") {
            place = end + 1;
            (ok, magnitude, end) = _digits(text, place, magnitude, decimals);
            if (!ok || end == place) return (false, 0, place);
            given = end - place;
        }
        // The decimals that the text does not give are zeros.
        for (; given < decimals; ++given) {
            if (magnitude > GREATEST / 10) return (false, 0, place);
            magnitude *= 10;
        }
        value = negative ? -int256(magnitude) : int256(magnitude);
    }

    /// @dev Appends the digits that begin at `place` to a magnitude. Those beyond the first `most` must be zeros.
    function _digits(bytes memory text, uint256 place, uint256 magnitude, uint256 most)
        private
        pure
        returns (bool ok, uint256 result, uint256 end)
    {
        result = magnitude;
        for (end = place; ; ++end) {
            bytes1 char = _byteAt(text, end);
            if (char < "0" || char > "9") return (true, result, end);
            uint256 digit = uint8(char) - 0x30;
            if (end - place >= most) {
                if (digit != 0) return (false, 0, end);
            } else {
                if (result > (GREATEST - digit) / 10) return (false, 0, end);
                result = result * 10 + digit;
            }
        }
    }

    /// @dev Where a text in quotation marks that begins at `place` ends, and whether there is an escape in it. `place`
    /// itself when none begins there, or it does not end.
    function _text(bytes memory json, uint256 place) private pure returns (uint256 end, bool escaped) {
        if (_byteAt(json, place) != '"') return (place, false);
        for (end = place + 1; ; ++end) {
            bytes1 char = _byteAt(json, end);
            if (char == '"') return (end + 1, escaped);
            if (char == "\\") {
                // Whatever is escaped does not end the text. Of \u0022 this passes over the u, and the rest are digits.
                escaped = true;
                char = _byteAt(json, ++end);
            }
            // JSON has no control characters in texts; and behind the last byte there are but zeros.
            if (char < 0x20) return (place, false);
        }
    }

    /// @dev Where a number or a word that begins at `place` ends; `place` itself when none begins there.
    function _word(bytes memory json, uint256 place) private pure returns (uint256) {
        while (true) {
            bytes1 char = _byteAt(json, place);
            bool digit = char >= "0" && char <= "9";
            bool letter = (char >= "a" && char <= "z") || (char >= "A" && char <= "Z");
            if (!digit && !letter && char != "-" && char != "+" && char != ".") return place;
            ++place;
        }
        return place;
    }

    /// @dev Where white space that begins at `place` ends.
    function _space(bytes memory text, uint256 place) private pure returns (uint256) {
        while (true) {
            bytes1 char = _byteAt(text, place);
            if (char != 0x20 && char != 0x0a && char != 0x0d && char != 0x09) return place;
            ++place;
        }
        return place;
    }

    /// @dev A byte; 0, which belongs nowhere in what is read here, behind the last one.
    function _byteAt(bytes memory text, uint256 place) private pure returns (bytes1) {
        return place < text.length ? text[place] : bytes1(0);
    }

    /// @dev The hash of the bytes from `start` to before `end`, which are within the text.
    function _hash(bytes memory text, uint256 start, uint256 end) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(add(text, 0x20), start), sub(end, start))
        }
    }
}
