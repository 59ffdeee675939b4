// Package faults makes a server misbehave on demand: late, refused, throttled, cut off before or after the work was
// done, or answered with something that is no answer.
//
// The sandbox's vendor servers ask a Plan, by operation name such as "sage.salesorders.create", what shall happen to
// the call at hand. A fault comes from a script (this call and no other, for a test about one fault), or by chance, from
// a seed and a named Level (for a run that must survive everything). What happens to the nth call of an operation
// depends on nothing but the seed, the operation and n, so a failing run can be had again.
//
// The faults are honest. A line that is cut after the write has really written, and one cut before it has done nothing;
// both look alike to the client, an end of file or a reset connection. Nothing here knows a vendor: bodies in a vendor's
// shape come from the server's Refuse function. It is no proxy and no load generator, and no product code imports it.
package faults
