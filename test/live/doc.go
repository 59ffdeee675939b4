// Package live asks a real HighLevel location and a real Sage tenant which of the assumptions of docs/assumptions.md hold
// there. Each probe is for one of them and reads only: its clients are read-only, so a write would be refused before it
// is sent. A finding holds the id of the assumption, numbers and words of status, and nothing of anybody's data.
//
// The probes are ordinary code. Their own test lets them loose on the sandboxes, as they are and bent, so that each is
// seen to find out. The test with the build tag live asks the real accounts whose keys are in the environment; make
// contract runs it. Nobody imports this package.
package live
