// Package store keeps what must outlive both a process and a workflow: which Sage record stands for which external
// identity, the ledger of orders as last brought into Sage, the lifecycles of their goods with the delivery news about
// them, the books of what each side says of orders, payments, refunds and subscriptions, how far long runs have come, what
// the sweeps saw last, parked items, alerts, decisions people took, cursors, the audit trail, and the connections: which
// locations are connected, their state, their tokens and settings, and the writes that a read-only run would have sent.
//
// It is not the truth: the vendors are, and everything here but decisions, delivery news, the audit trail and the
// connections can be found again from them. Tokens, settings and planned writes may be secret or personal: they come
// and go as Sealed values, and the store has no key to open one. Nothing else here is. Activities, the starter and its
// commands, and the directory of connections call it; workflow code must not.
//
// One dialect of SQL runs on SQLite (one machine; the worker and the starter open the same file) and on PostgreSQL (any
// number of machines), and one conformance suite holds both to the same behaviour. Every method but Reseal is one
// transaction or a few reads, and all are safe for concurrent use. Times are kept to the microsecond and come back in
// UTC; a zero time stays zero.
package store
