// Package sage is a client of the Sage Sales Management REST API v4, the CRM that was called ForceManager.
//
// It speaks the vendor's wire: session log-in, the SQL-like filter, offset paging over lists that keep deleted rows,
// references written as integers and read as objects, partial updates. It knows nothing of orders that must be paid,
// of Temporal, or of any other vendor, and it keeps no state but its session and a short-lived copy of the tenant's
// value lists. The activities call it, and so do the preflight checks of the starter.
//
// # Where its facts come from
//
// The vendor's reference sits behind a log-in, so each fact that is not plain in the code is marked with its source:
//
//   - "developer page": developer.forcemanager.com, now "Sage Sales Management API Docs, v4 OpenAPI".
//   - "endpoint pages": withone.ai/knowledge/sage-sales-management, one page an endpoint, transcribed from the vendor's.
//   - "vendor's connector": microsoft/PowerPlatformConnectors, certified-connectors/ForceManager CRM, published by the
//     vendor (apiDefinition.swagger.json, script.csx, Readme.md).
//   - "help centre": support.forcemanager.net.
//   - "integrations": public code that talks to real tenants, such as the Odoo module forcemanager_integration and
//     paolofraz/Py-ForceManager.
//   - "inferred": not written down anywhere; the client is built so that being wrong costs little. Each stands in
//     docs/assumptions.md, from A40 on.
//
// The legacy API of the same brand (restfm.forcemanager.net, HMAC headers, snake_case) has nothing in common with this one.
//
// # What a caller must know
//
//   - There is no idempotency key. A create is sent once and never repeated here, except after a 401, which is refused
//     before anything is stored. If its outcome is unknown the error is a *transport.Error with MayHaveLanded set:
//     wait, look the record up by its external id, and only then create it again.
//   - The uniqueness of external ids is promised nowhere, so every look-up by external id reports duplicates.
//   - A missing record is answered with 400, not 404: see [MaybeNotFound] and [Resource.Lookup].
//   - Lists hold deleted rows. Rows are handed out as they come; look at Deleted.
//   - Activities and calendar entries are notes for people, without a key that is sure to be kept: see
//     [NoteResource.FindMarked].
//   - What a hook sends is a hint: see [ReadHook]. [Orders.Changed] finds what no hook told of.
//   - The "Z" of a date is not proven to be UTC. Don't compare it with the local clock without a margin.
package sage
