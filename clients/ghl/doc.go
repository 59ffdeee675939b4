// Package ghl is the client of the HighLevel (GoHighLevel) API v2: orders, transactions, contacts and invoices of one
// location, read only. The activities call it.
//
// It is not a full SDK: it holds the calls that Tallystick makes, one file a resource, each listed in Operations and
// checked against the OpenAPI files that HighLevel publishes (github.com/GoHighLevel/highlevel-api-docs, apps/). Those
// files are wrong in places, and list rows differ from single objects; decoding is therefore tolerant about types and
// strict about two things: an amount must be an exact decimal, and a list without its array is an error, never an empty
// list. Both shapes of an object are folded into one Go type.
//
// It never retries: see package transport.
package ghl
