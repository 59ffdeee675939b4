// Package cluster connects a process to Temporal: the address, namespace, profile and credentials as Temporal's own
// library reads them from the environment, payloads and errors sealed by our key ring, metrics and traces, and what a
// plain server needs before our workflows can run on it.
//
// It starts no server and knows no workflow. The worker, the starter and the end-to-end tests dial through it, so that
// all of them read and write payloads alike.
package cluster
