// Package transport is the one way in which Tallystick talks HTTP to a vendor. The clients of HighLevel, Sage and
// AccessAlly are built on it and nothing else calls it.
//
// A call passes through a chain of layers in one written order (see chain): guard, trace, bulkhead, break, prepare, limit,
// measure, log, timeout, judge, send. Each layer is small. The chain sends a request exactly once: it never retries and
// never follows a redirect, because repeating is the business of whoever can look up first what became of the first
// attempt. What comes back is the decoded answer or one *Error that says what happened, what the vendor said, how long to
// wait and whether a write may have landed.
//
// Limits are of two kinds, Bucket for vendors that count calls in a span and Slots for those that count them by the second.
// Several processes share one allowance by rank alone (Sharer): nothing passes between them.
//
// It knows no vendor. How a vendor words its errors and its limits is handed in through Config.
package transport
