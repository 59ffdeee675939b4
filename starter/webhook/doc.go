// Package webhook is the door through which HighLevel tells of events: it checks the signature, finds out which object
// the event is about, and hands a hint to the process of that object. It answers 200 only when Temporal has the hint.
//
// It is not where an event is acted upon, and nothing of a body but ids and times goes further: a webhook is only a hint
// to read the object again. That is why a replayed, doubled, late or shuffled delivery is harmless, and why there is no
// window of freshness: HighLevel's redeliveries carry the timestamp of the first attempt and go on for more than an hour
// ("Webhook Integration Guide", HighLevel's developer portal), so a window of minutes would refuse what it was told to
// send again.
//
// HighLevel signs the events of all apps with one key, so a signature says who sent, not whom to: events of locations that
// are not connected here are refused, and of an installation only one of our own app is believed. One location may take
// half of the door and no more, so that a flood at one does not keep the others out.
//
// HighLevel delivers again after an answer of 429 and after no other, not after a 5xx, a refused connection or a
// timeout (same guide). So whatever passes by itself is answered 429 with Retry-After, a panic included; and a
// sender that hangs up while its hint is on the way does not take the hint back.
//
// The starter's server mounts a Handler; the sandbox delivers to it.
package webhook
