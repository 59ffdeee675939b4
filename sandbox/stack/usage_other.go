//go:build !linux

package stack

// UsageOf measures any process of this machine, such as the Temporal server.
func UsageOf(int) (Usage, error) { return Usage{}, ErrNotMeasured }
