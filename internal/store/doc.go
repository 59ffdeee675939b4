// Package store keeps what must outlive both a process and a workflow: which Sage record stands for which external
// identity, the ledger of orders as last brought into Sage, what the sweeps saw last, parked items, decisions people
// took, cursors, and the audit trail.
//
// It is not the truth: the vendors are, and everything here but decisions and the audit trail can be found again from
// them. It holds no tokens and no personal data. Activities, the starter and its commands call it; workflow code must
// not.
//
// One dialect of SQL runs on SQLite (one machine; the worker and the starter open the same file) and on PostgreSQL (any
// number of machines), and one conformance suite holds both to the same behaviour. Every method is one transaction and
// safe for concurrent use. Times are kept to the microsecond and come back in UTC; a zero time stays zero.
package store
