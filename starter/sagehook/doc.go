// Package sagehook is the door for Sage's hooks: POST /webhooks/sage/{token}. Sage posts the records that somebody has
// changed; of each sales order that stands for a HighLevel order, the process of that order's fulfilment is told to look.
// A record says which order it is, and whether its shipping is other than what was agreed; nothing else of it is used, so a
// hook that is forged, doubled, late or about the past changes nothing but when Sage is read. The starter's server mounts a Handler where SAGE_HOOK_TOKEN is set; `starter hooks apply`
// has Sage post there.
//
// What a hook's body is (an array of records in the shape in which they are read, A118) is documented by Sage's Power
// Platform connector; how a hook shows who sent it (A116) and whether it is sent again (A117) is not documented. So the path holds a token of our
// own, and the sweep over changed sales orders finds what no hook tells. What stands in a path may be kept by the log of a
// proxy: keep such logs as you keep passwords, or leave the path out of them.
package sagehook
