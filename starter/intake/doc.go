// Package intake is what the doors of the starter have in common, whoever knocks: HighLevel's webhooks (package webhook),
// news of deliveries (package delivery) and Sage's hooks (package sagehook). A Gate bounds what may come in at once and
// how large it may be, turns a panic into an answer, counts, and logs seldom and without anything of a body.
//
// It does not know what a request says or who may send it: the doors do. What all of them answer is here as well, so that
// a sender learns one set of answers: 200 only when what was told is kept durably, 429 with Retry-After for whatever
// passes by itself, an outage of Temporal or of the store included, and another 4xx for what sending again does not mend.
package intake
