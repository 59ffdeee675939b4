// Package workflows holds the business processes of Tallystick, one file each, as deterministic Temporal workflows.
//
// A workflow reads like the process it is: what happens, in which order, and what is done when a step cannot be done.
// How a step is carried out is the business of package activities; a workflow does no input or output, reads no clock
// but the workflow's, and knows no vendor's documents. The worker registers the processes, the starter and the sweeps
// start them through a Door.
package workflows
