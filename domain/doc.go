// Package domain holds the types and rules of the trade that Tallystick keeps true: money, sales, payments, refunds,
// customers, the lines a sale becomes in the books, and the identities under which each thing is known elsewhere.
//
// It is pure: no input or output, no clock, no randomness, no knowledge of any vendor's wire format. Workflows may
// therefore call it freely. Clients translate a vendor's documents into these types, activities carry them, and every
// other package may import it; it imports none of ours.
package domain
