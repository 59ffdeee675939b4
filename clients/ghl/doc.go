// Package ghl is the client of the HighLevel (GoHighLevel) API v2: what one location sells (products, prices, inventory,
// coupons), has sold (orders, fulfillments, transactions, subscriptions, invoices) and to whom (contacts). The activities
// call it.
//
// HighLevel knows no idempotency keys: a write sent twice is done twice. Whoever writes searches first, and after an
// error with transport.MayHaveLanded searches again before repeating. A client with Options.ReadOnly refuses every write
// before it is sent.
//
// It is not a full SDK: it holds the calls that Tallystick makes, one file a resource, each listed in Operations and
// checked against the OpenAPI files that HighLevel publishes (github.com/GoHighLevel/highlevel-api-docs, apps/). Those
// files are wrong in places, and list rows differ from single objects; decoding is therefore tolerant about types and
// strict about two things: an amount must be an exact decimal, and a list without its array is an error, never an empty
// list. Both shapes of an object are folded into one Go type.
//
// OAuth is the other way in: it exchanges codes and refresh tokens for a marketplace app, and keeps nothing. Whoever keeps
// tokens gives them to a Client as Credentials.
//
// It never retries, see package transport, with one exception: a call that is refused for its token is sent once more with
// a renewed one, because such a refusal comes before anything is done (A94).
package ghl
