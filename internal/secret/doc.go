// Package secret keeps data unreadable to whoever holds only its storage: a ring of keys that can be rotated, sealing of
// single values, and the codec that seals every payload before it leaves for Temporal, with the HTTP endpoint through
// which the Temporal web UI shows payloads to those allowed.
//
// It decides neither where keys come from nor who is allowed: the configuration does. The worker, the starter and the
// sandbox build one Ring each and pass it on; workflow code never sees it.
package secret
