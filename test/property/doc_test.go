// Package property holds the test that no interleaving matters: whatever happens at HighLevel, in whatever order the
// hints come, whichever calls fail and wherever processes die, Sage ends up as if one pass had been made at the end.
//
// It runs the real workflow with the real steps against both vendors' sandboxes, in Temporal's test environment, which
// skips time. The interleavings are drawn and shrunk by rapid; `go test ./test/property -rapid.checks=1000` draws more.
package property
