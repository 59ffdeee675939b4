// Package books makes reports of the ledger that the store keeps: on what HighLevel and Sage disagree, with a proof that
// nothing is left out, what could be done about it, and what both sides took in a month.
//
// It reads the store and nothing else: no vendor is asked, so a report is as new as what was last read of either side, and
// says so. It changes nothing; what is to be done about a difference it only plans. The starter's commands call it, and so
// may whoever alerts, publishes or shows.
package books
