"""The layout is pinned: these vectors were computed by hand from its description and may never change."""

from __future__ import annotations

from hashlib import sha256

import pytest

from adapters.event_log.layout import Malformed, join, leaf, place, split

STREAM, VERSION, NAME = "acme/ada/consumer/ada", 258, "ConsumerErased.1"
STATE = bytes.fromhex("01 00000003 aabbcc ddeeff00")


def test_a_state_is_format_length_envelope_and_body():
    assert join(b"\xaa\xbb\xcc", b"\xdd\xee\xff\x00") == STATE
    assert split(STATE) == (b"\x01\xaa\xbb\xcc", b"\xdd\xee\xff\x00")


def test_a_place_is_unambiguous():
    assert place(STREAM, VERSION, NAME, b"\x01\xaa\xbb\xcc") == bytes.fromhex(
        "00000015 61636d652f6164612f636f6e73756d65722f616461"
        "0000000000000102"
        "00000010 436f6e73756d65724572617365642e31"
        "00000004 01aabbcc"
    )


def test_a_leaf_is_made_of_place_and_body():
    body = sha256(bytes.fromhex("ddeeff00")).digest()
    by_hand = b"\x00" + place(STREAM, VERSION, NAME, b"\x01\xaa\xbb\xcc") + body
    assert leaf(STREAM, VERSION, NAME, STATE) == sha256(by_hand).digest()
    assert leaf(STREAM, VERSION, NAME, STATE).hex() == (
        "bc9588cfefaed901f2034553294accfa0dda0968bdea18e78ea5783ff1c0ece5"
    )
    assert leaf("é", 2**63 - 1, "", bytes.fromhex("01 00000000")).hex() == (
        "2c910233b52e125a27552c360551253569f97485631f5f2aa3c3ef767e20e8df"
    )


@pytest.mark.parametrize("state", [b"", b"\x02" + STATE[1:], STATE[:6], b"\x01\xff\xff\xff\xff"])
def test_what_is_laid_out_otherwise_is_refused(state: bytes):
    with pytest.raises(Malformed):
        split(state)
