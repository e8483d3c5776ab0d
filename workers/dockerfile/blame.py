"""Whose fault it is when an engine, a registry or a step fails: by what they said last, for nothing else tells."""

import re

_WEATHER = re.compile(
    r"temporary failure (?:in name )?resolv|could ?n[o']t resolve|could not resolve host|name or service not known"
    r"|no such host|server misbehaving|eai_again|nodename nor servname"
    r"|connection (?:refused|reset|timed out|aborted|closed)|connect(?:ion)? timeout|broken pipe|no route to host"
    r"|network is unreachable|could not connect|failed to connect|newconnectionerror|max retries exceeded"
    r"|econn(?:reset|refused|aborted)|etimedout|enetunreach|socket hang up|remote end closed|incompleteread"
    r"|i/o timeout|tls handshake timeout|(?:read|operation) timed out|client\.timeout|deadline exceeded"
    r"|unexpected eof(?! while)|: eof$|use of closed network connection|goaway|toomanyrequests|too many requests"
    r"|(?:http status|status code|http error|status|error|returned error|http/\d(?:\.\d)?):? *(?:429|50[0234])\b"
    r"|\b(?:429|50[0234]) +(?:too many requests|internal server error|bad gateway|service (?:temporarily )?unavailable)"
    r"|\b504 +gateway time-?out|blob upload (?:invalid|unknown)",
    re.MULTILINE,
)
_OURS = re.compile(
    r"permission denied|certificate|x509|client version .* is too|http (?:request|response) to (?:an )?https"
)
_FULL = re.compile(r"no space left on device|disk quota exceeded")
_FOREIGN = re.compile(r"exec format error|invalid elf image for this architecture")


def is_weather(said: str) -> bool:
    """Whether something far away did not answer, or not now: the same, tried later, can succeed."""
    return bool(_WEATHER.search(said.lower()))


def is_ours(said: str) -> bool:
    """Whether an engine that could not be spoken to is there, and the way in is wrong: a person has to mend it."""
    return bool(_OURS.search(said.lower()))


def is_foreign(said: str) -> bool:
    """Whether a program was to be run that is for another kind of machine."""
    return bool(_FOREIGN.search(said.lower()))


def is_full(said: str) -> bool:
    """Whether a disk was full."""
    return bool(_FULL.search(said.lower()))
