// Package stack runs the whole of Tallystick on one machine, the way it runs for real: a Temporal server, the starter
// and any number of workers as processes of their own, configured by environment variables alone, against HighLevel and
// Sage as sandbox servers in the calling process. The processes can be killed and restarted, measured, and waited for
// until everything that was accepted is done.
//
// It is no supervisor: a process that ends by itself stays ended and is reported (Process.Done), and nothing here is
// meant to run a business. The sandbox program, the end-to-end tests and the benchmark call it; product code never does.
package stack
