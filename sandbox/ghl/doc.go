// Package ghl is GoHighLevel (HighLevel) as an in-process server: the payments, catalogue, contacts and invoices part of its
// API v2, its OAuth side, its rate limit, and its webhooks, so that everything built on them can be run and tested without
// an account.
//
// It serves only paths that HighLevel's OpenAPI files publish (a test checks that), in the shapes they and the webhook
// pages publish, awkward parts included: a list row of an order has no items and a flattened source, a detail has a
// source object; amounts are JSON numbers in major units; the case of a currency varies; a refund is nothing but a
// growing amountRefunded on the transaction; a payment list can't be filtered by what changed; an invoice's webhook names
// neither its type nor its location; a webhook is tried again on a 429 only. Where HighLevel publishes nothing, the
// server does the stricter thing or what its users reported, and Options can change it.
//
// What happens in HighLevel is done by Go methods: AddContact, PlaceOrder, TakePayment, Refund, Fulfil, Subscribe, Renew
// and so on, each of which sends the webhooks that HighLevel would send: none for fulfillments, subscriptions and their
// renewals. They can be lost, doubled and shuffled by a faults.Plan, and every delivery is on record. Seed takes in years
// of it at once and sends nothing.
//
// A marketplace app (Options.App) is installed on locations and agencies through the page at AuthorizeURL, which programs
// can drive too, or by Install and InstallCompany. Codes work once; refresh tokens work once and rotate, with the grace
// of 30 seconds that HighLevel announced; a token of one location opens no other; Uninstall, Suspend, ExpireAccess and
// RevokeRefresh are what goes wrong in an app's life. Refreshes, ReplayedRefreshes, RefusedRefreshes and
// MaxRefreshesInFlight tell how an app behaved. The operations "oauth.token", "oauth.locationToken" and
// "oauth.installedLocations" take faults like all others: an answer that is lost after the token was rotated is
// faults.CutAfter on "oauth.token". Private tokens live beside all this and need none of it.
//
// It is no store: everything is in memory and gone with the process. The sandbox program, tests and benchmarks call it;
// product code never does. Each resource is a file of its own.
package ghl
